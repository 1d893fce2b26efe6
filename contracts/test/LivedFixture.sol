// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MarketFixture} from "./MarketFixture.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";

/// @notice A market in which everything has happened before that makes a slash dear.
abstract contract LivedFixture is MarketFixture {
    /// @dev A network that has lived: a stream that flows, commissions, stake on its way out, votes in earlier
    /// epochs, earlier slashes.
    function live(uint256 others) internal {
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        token.transfer(OTHER_OWNER, 20_000_000 ether);
        for (uint256 i = 0; i < others; ++i) {
            registerAs(Role.Miner, 0x9A500 + i, OTHER_OWNER, MINER_STAKE);
        }
        token.approve(address(staking), type(uint256).max);
        staking.fundRewards(1_000_000 ether);
        takeCommission();
        vm.warp(vm.getBlockTimestamp() + 7 days);
        takeCommission();
        vm.roll(vm.getBlockNumber() + EPOCH_BLOCKS);
        voteAs(ANN, 5 ether);
        unvoteAs(OWNER, 0.5 ether * 1e3);
        vm.roll(vm.getBlockNumber() + EPOCH_BLOCKS);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        equivocate(OTHER_NODE_KEY, "first");
        vm.warp(vm.getBlockTimestamp() + 1 hours);
    }

    /// @dev The first call announces it, the second one finds that its time has come.
    function takeCommission() internal {
        vm.prank(OWNER);
        staking.announceCommission(node, 1_000);
    }

    function twoOf(uint256 key, bytes32 slot) internal view returns (bytes memory a, bytes memory b) {
        a = signDigest(key, slashing.statementDigest(3, slot, keccak256("A")));
        b = signDigest(key, slashing.statementDigest(3, slot, keccak256("B")));
    }

    function equivocate(uint256 key, string memory name) internal {
        bytes32 slot = keccak256(bytes(name));
        (bytes memory a, bytes memory b) = twoOf(key, slot);
        slashing.equivocation(3, slot, keccak256("A"), a, keccak256("B"), b);
    }
}

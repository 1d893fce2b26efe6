// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {DevelopmentCAI} from "../src/DevelopmentCAI.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";
import {IEpochSeeds} from "../src/interfaces/IEpochSeeds.sol";
import {ISlashing} from "../src/interfaces/ISlashing.sol";
import {IStaking, StakingParameters} from "../src/interfaces/IStaking.sol";

/// @notice The three contracts as they are deployed, some people with money, and short verbs.
abstract contract Fixture is Base {
    uint256 internal constant SUPPLY = 1_000_000_000 ether;
    uint256 internal constant MINER_STAKE = 20_001 ether;
    uint256 internal constant COORDINATOR_STAKE = 2_000_001 ether;
    uint256 internal constant UNBONDING_DELAY = 7 days;
    uint256 internal constant EPOCH_BLOCKS = 100;
    uint256 internal constant SEED_DELAY_BLOCKS = 10;

    uint256 internal constant NODE_KEY = 0xA11CE;
    uint256 internal constant OTHER_NODE_KEY = 0xB0B;
    address internal constant OWNER = address(0x1001);
    address internal constant OTHER_OWNER = address(0x1002);
    address internal constant ANN = address(0x2001);
    address internal constant BEN = address(0x2002);
    address internal constant ESCROW = address(0xE5C0);
    address internal constant REPORTER = address(0x3001);

    DevelopmentCAI internal token;
    IStaking internal staking;
    ISlashing internal slashing;
    IEpochSeeds internal seeds;
    address internal node;
    address internal otherNode;

    function setUp() public virtual {
        vm.roll(1000);
        vm.warp(1_700_000_000);
        token = DevelopmentCAI(create("DevelopmentCAI", abi.encode(address(this), SUPPLY)));
        deploySlasher();
        seeds = IEpochSeeds(create("EpochSeeds", abi.encode(address(staking))));
        node = vm.addr(NODE_KEY);
        otherNode = vm.addr(OTHER_NODE_KEY);
        fund(OWNER);
        fund(OTHER_OWNER);
        fund(ANN);
        fund(BEN);
        fund(ESCROW);
    }

    /// @dev Staking names its slashers before they exist; here the test itself is disputes.
    function deploySlasher() internal virtual {
        address slasher = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        staking = newStaking(slasher);
        slashing = ISlashing(create("Slashing", abi.encode(address(staking), 256)));
    }

    function newStaking(address slasher) internal returns (IStaking) {
        return IStaking(create("Staking", abi.encode(parameters(slasher))));
    }

    function parameters(address slasher) internal view returns (StakingParameters memory) {
        return StakingParameters({
            token: address(token),
            slashing: slasher,
            disputes: address(this),
            escrow: ESCROW,
            unbondingDelay: UNBONDING_DELAY,
            epochBlocks: EPOCH_BLOCKS,
            seedDelayBlocks: SEED_DELAY_BLOCKS
        });
    }

    function fund(address account) internal {
        token.transfer(account, 10_000_000 ether);
        vm.prank(account);
        token.approve(address(staking), type(uint256).max);
    }

    function signDigest(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function consent(uint256 key, address owner, Role role) internal view returns (bytes memory) {
        return signDigest(key, staking.consentDigest(owner, vm.addr(key), role, deadline()));
    }

    function deadline() internal view returns (uint256) {
        return vm.getBlockTimestamp() + 1 hours;
    }

    /// @dev Stakes what is given, and registers with it.
    function registerAs(Role role, uint256 key, address owner, uint256 amount) internal {
        bytes memory signature = consent(key, owner, role);
        vm.startPrank(owner);
        staking.stake(vm.addr(key), amount);
        staking.register(role, vm.addr(key), "metadata", deadline(), signature);
        vm.stopPrank();
    }

    /// @dev As if so many nodes had been registered, all further ones without weight. The tree has to be as deep
    /// as it is: go to the last leaf that fits and register one.
    function pretendNodes(uint256 count) internal {
        vm.record();
        staking.nodeCount();
        (bytes32[] memory read,) = vm.accesses(address(staking));
        uint256 shared = uint256(vm.load(address(staking), read[0]));
        shared = (shared & ~(uint256(type(uint24).max) << 184)) | (count << 184);
        vm.store(address(staking), read[0], bytes32(shared));
        vm.assertEq(staking.nodeCount(), count, "pretended");
    }

    function registerMiner() internal {
        registerAs(Role.Miner, NODE_KEY, OWNER, MINER_STAKE);
    }

    function stakeAs(address owner, uint256 amount) internal returns (uint256 shares) {
        vm.prank(owner);
        return staking.stake(node, amount);
    }

    function voteAs(address voter, uint256 amount) internal returns (uint256 shares) {
        vm.prank(voter);
        return staking.vote(node, amount);
    }

    function unvoteAs(address account, uint256 shares) internal returns (uint256 requestId) {
        vm.prank(account);
        return staking.unvote(node, shares);
    }

    function unvoteAllAs(address account) internal returns (uint256 requestId) {
        return unvoteAs(account, staking.sharesOf(node, account));
    }

    function withdrawAs(address account, uint256 requestId) internal returns (uint256 amount) {
        vm.prank(account);
        return staking.withdraw(node, requestId);
    }

    function micro(uint256 amount) internal pure returns (uint64) {
        return uint64(amount / 1e12);
    }

    function passUnbonding() internal {
        vm.warp(vm.getBlockTimestamp() + UNBONDING_DELAY);
    }

    function one(address account) internal pure returns (address[] memory accounts) {
        accounts = new address[](1);
        accounts[0] = account;
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";
import {JAIL_FOREVER} from "../src/interfaces/IStaking.sol";

/// @notice What whole transactions cost.
/// @dev forge runs each top call as a transaction of its own (`isolate`), so that every slot is cold; its gas
/// has the 21,000 and the calldata in it. The figures go to `snapshots/`, which `npm test` compares.
abstract contract GasMeasured is Fixture {
    string internal constant METADATA =
        '{"name":"Northern Lights","url":"https://miner.example.org","models":["sd-1.5","sdxl"]}';

    function group() internal pure virtual returns (string memory);

    function nodesAndStream() internal pure virtual returns (uint256 nodes, uint256 funding);

    function setUp() public override {
        super.setUp();
        token.transfer(OWNER, 10_000_000 ether);
        (uint256 nodes, uint256 funding) = nodesAndStream();
        for (uint256 i = 0; i < nodes; ++i) {
            registerAs(Role.Miner, 0x1000000 + i, OWNER, MINER_STAKE);
        }
        token.approve(address(staking), type(uint256).max);
        if (funding != 0) staking.fundRewards(funding);
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        vm.prank(OTHER_OWNER);
        staking.announceCommission(otherNode, 1_000);
        vm.warp(vm.getBlockTimestamp() + 7 days);
        vm.prank(OTHER_OWNER);
        staking.announceCommission(otherNode, 1_000);
        vm.roll(vm.getBlockNumber() + EPOCH_BLOCKS);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
    }

    function snapshot(string memory name, uint256 most) internal {
        vm.assertLe(vm.snapshotGasLastCall(group(), name), most, name);
    }

    function test_gas_of_register() public {
        bytes memory signature = consent(NODE_KEY, OWNER, Role.Miner);
        stakeAs(OWNER, MINER_STAKE);
        vm.warp(vm.getBlockTimestamp() + 60);
        vm.prank(OWNER);
        staking.register(Role.Miner, node, METADATA, deadline() - 60, signature);
        snapshot("register", 90_000);
    }

    function test_gas_of_stake_for_a_new_key() public {
        stakeAs(OWNER, MINER_STAKE);
        snapshot("stake for a new key", 165_000);
    }

    function test_gas_of_a_first_vote() public {
        vm.prank(ANN);
        token.approve(address(staking), 5_000 ether);
        vm.prank(ANN);
        staking.vote(otherNode, 1_000 ether);
        snapshot("first vote, first change of the node's weight", 120_000);

        vm.roll(vm.getBlockNumber() + EPOCH_BLOCKS);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        vm.prank(BEN);
        token.approve(address(staking), 5_000 ether);
        vm.prank(BEN);
        staking.vote(otherNode, 1_000 ether);
        snapshot("first vote", 120_000);
    }

    function test_gas_of_a_slash() public {
        vm.prank(ANN);
        staking.vote(otherNode, 1_000 ether);
        vm.prank(OTHER_OWNER);
        staking.unvote(otherNode, 1e6);
        vm.roll(vm.getBlockNumber() + EPOCH_BLOCKS);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        staking.slash(otherNode, 10_000, 1_000, JAIL_FOREVER);
        snapshot("slash", 115_000);
    }

    function test_gas_of_leaving() public {
        vm.prank(ANN);
        staking.vote(otherNode, 1_000 ether);
        vm.roll(vm.getBlockNumber() + EPOCH_BLOCKS);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        vm.prank(ANN);
        uint256 requestId = staking.unvote(otherNode, 900 ether * 1e3);
        snapshot("unvote", 160_000);
        passUnbonding();
        vm.prank(ESCROW);
        staking.addFees(otherNode, 100 ether);
        vm.prank(ANN);
        staking.claim(otherNode);
        snapshot("claim", 70_000);
        vm.prank(ANN);
        staking.withdraw(otherNode, requestId);
        snapshot("withdraw", 55_000);
    }

    function test_gas_of_fees() public {
        vm.prank(ESCROW);
        staking.addFees(otherNode, 100 ether);
        snapshot("add fees", 90_000);
    }
}

/// @notice A market that begins.
/// forge-config: default.isolate = true
contract GasSmallTest is GasMeasured {
    function group() internal pure override returns (string memory) {
        return "Staking-6-nodes";
    }

    function nodesAndStream() internal pure override returns (uint256, uint256) {
        return (5, 0);
    }
}

/// @notice Two words of the tree deep, with a stream that flows and a node that takes a commission.
/// forge-config: default.isolate = true
contract GasLargeTest is GasMeasured {
    function group() internal pure override returns (string memory) {
        return "Staking-500-nodes-and-stream";
    }

    function nodesAndStream() internal pure override returns (uint256, uint256) {
        return (499, 1_000_000 ether);
    }

    /// @dev Every eighth registration makes a word of leaves.
    function test_gas_of_the_first_of_eight_leaves() public {
        for (uint256 i = staking.nodeCount(); i % 8 != 0; ++i) {
            registerAs(Role.Miner, 0x3000000 + i, OWNER, MINER_STAKE);
        }
        bytes memory signature = consent(NODE_KEY, OWNER, Role.Miner);
        stakeAs(OWNER, MINER_STAKE);
        vm.warp(vm.getBlockTimestamp() + 60);
        vm.prank(OWNER);
        staking.register(Role.Miner, node, METADATA, deadline() - 60, signature);
        snapshot("register, first of eight leaves", 110_000);
    }
}

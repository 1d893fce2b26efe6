// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";
import {IStaking} from "../src/interfaces/IStaking.sol";

/// @notice Weights at past blocks: what the draws are made from.
contract StakingSnapshotTest is Fixture {
    function test_weightAt_reads_the_past_and_not_the_present() public {
        registerMiner(); // block 1000
        vm.roll(1010);
        voteAs(ANN, 1000 ether);
        vm.expectRevert(abi.encodeWithSelector(IStaking.BlockNotPast.selector, 1010, 1010));
        staking.weightAt(node, 1010);

        vm.roll(1020);
        unvoteAs(OWNER, 1 ether * 1e6); // at the minimum: inactive
        vm.roll(1030);
        vm.assertEq(staking.weightAt(node, 999), 0, "before it registered");
        vm.assertEq(staking.weightAt(node, 1000), MINER_STAKE, "from the block of its registration");
        vm.assertEq(staking.weightAt(node, 1009), MINER_STAKE, "until it changes");
        vm.assertEq(staking.weightAt(node, 1010), MINER_STAKE + 1000 ether, "with the vote");
        vm.assertEq(staking.weightAt(node, 1019), MINER_STAKE + 1000 ether, "until it falls inactive");
        vm.assertEq(staking.weightAt(node, 1020), 0, "nothing while inactive");
    }

    function test_the_last_change_of_a_block_counts() public {
        registerMiner();
        voteAs(ANN, 5 ether);
        voteAs(BEN, 7 ether);
        vm.roll(1001);
        vm.assertEq(staking.weightAt(node, 1000), MINER_STAKE + 12 ether, "the end of the block");
    }

    function test_snapshot_gives_one_role_at_one_block() public {
        registerMiner();
        registerAs(Role.Coordinator, 0xC0, OTHER_OWNER, COORDINATOR_STAKE);
        vm.roll(1005);
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE + 1);
        vm.roll(1010);

        (address[] memory nodes, uint256[] memory weights) = staking.snapshot(Role.Miner, 1005, 0, 100);
        vm.assertEq(nodes.length, 2, "both miners");
        vm.assertEq(weights.length, 2, "a weight each");
        vm.assertEq(nodes[0], node, "the first");
        vm.assertEq(nodes[1], otherNode, "the second");
        vm.assertEq(weights[1], MINER_STAKE + 1, "its weight");

        (nodes,) = staking.snapshot(Role.Miner, 1004, 0, 100);
        vm.assertEq(nodes.length, 1, "the second miner was not there yet");
        (nodes,) = staking.snapshot(Role.Coordinator, 1004, 0, 100);
        vm.assertEq(nodes.length, 1, "the coordinator");
        (nodes,) = staking.snapshot(Role.Miner, 1005, 0, 2);
        vm.assertEq(nodes.length, 1, "a page counts positions in the whole list");
        (nodes,) = staking.snapshot(Role.Miner, 1005, 2, 2);
        vm.assertEq(nodes[0], otherNode, "the next page");
        (nodes,) = staking.snapshot(Role.Miner, 999, 0, 100);
        vm.assertEq(nodes.length, 0, "before all of them");
    }

    function test_snapshot_of_the_present_is_refused() public {
        registerMiner();
        vm.expectRevert(abi.encodeWithSelector(IStaking.BlockNotPast.selector, 1000, 1000));
        staking.snapshot(Role.Miner, 1000, 0, 100);
    }
}

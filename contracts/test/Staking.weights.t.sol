// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";
import {JAIL_FOREVER} from "../src/interfaces/IStaking.sol";
import {IWeights} from "../src/interfaces/IWeights.sol";

/// @notice Weights at the start of epochs, and the tree of jurors: what the draws are made from.
contract StakingWeightsTest is Fixture {
    function test_weightAt_is_what_a_node_weighed_before_the_epochs_first_block() public {
        registerMiner(); // block 1000, epoch 10
        vm.roll(1199);
        voteAs(ANN, 1000 ether);
        vm.expectRevert(abi.encodeWithSelector(IWeights.EpochNotStarted.selector, 12, 11));
        staking.weightAt(node, 12);
        vm.roll(1200);
        unvoteAs(OWNER, 1 ether * 1e3); // at the minimum: inactive
        vm.assertEq(staking.weightAt(node, 10), 0, "before it registered");
        vm.assertEq(staking.weightAt(node, 11), micro(MINER_STAKE), "from the epoch after it did");
        vm.assertEq(
            staking.weightAt(node, 12), micro(MINER_STAKE + 1000 ether), "its first block is too late"
        );
        vm.roll(2500);
        vm.assertEq(staking.weightAt(node, 13), 0, "inactive");
        vm.assertEq(staking.weightAt(node, 25), 0, "until it changes");
    }

    /// @dev Against books that are kept in the plainest way.
    function test_weightAt_is_right_for_any_history(uint256[24] memory steps) public {
        registerMiner();
        uint64[] memory expected = new uint64[](100);
        uint256[] memory changes = new uint256[](24); // epochs in which it has changed
        uint256 count = 0;
        uint256 epoch = 10;
        for (uint256 i = 0; i < steps.length; ++i) {
            uint256 pause = steps[i] % 4;
            for (uint256 j = 0; j < pause; ++j) {
                expected[++epoch] = staking.weightOf(node);
            }
            vm.roll(epoch * EPOCH_BLOCKS + steps[i] % EPOCH_BLOCKS);
            voteAs(ANN, 1e12 * bound(steps[i], 1, 1e6));
            if (count == 0 || changes[count - 1] != epoch) changes[count++] = epoch;
        }
        uint256 oldest = count > 6 ? changes[count - 6] : 0;
        for (uint256 i = 0; i <= epoch; ++i) {
            if (i > 10 && i < oldest) {
                vm.expectRevert(abi.encodeWithSelector(IWeights.WeightForgotten.selector, node, i));
                staking.weightAt(node, i);
            } else {
                vm.assertEq(staking.weightAt(node, i), expected[i], "as it was");
            }
            vm.assertEq(staking.weightAt(otherNode, i), 0, "not registered");
        }
    }

    function test_the_last_epochs_can_be_read_however_often_the_weight_changes() public {
        registerMiner();
        for (uint256 epoch = 11; epoch <= 20; ++epoch) {
            vm.roll(epoch * EPOCH_BLOCKS);
            voteAs(ANN, 1 ether);
            voteAs(BEN, 1 ether);
        }
        vm.assertEq(staking.KEPT_EPOCHS(), 6, "six epochs");
        address[] memory nodes = one(node);
        for (uint256 epoch = 15; epoch <= 20; ++epoch) {
            uint256 votes = 2 * (epoch - 11);
            vm.assertEq(staking.weightsAt(nodes, epoch)[0], micro(MINER_STAKE + votes * 1 ether), "kept");
        }
        vm.expectRevert(abi.encodeWithSelector(IWeights.WeightForgotten.selector, node, 14));
        staking.weightsAt(nodes, 14);
        vm.assertEq(staking.weightAt(node, 10), 0, "it still had not been registered");
    }

    /// @dev Through two levels; each leaf is found exactly as often as it weighs.
    function test_the_tree_draws_every_leaf_by_its_weight() public {
        for (uint256 i = 0; i < 70; ++i) {
            registerAs(Role.Miner, 0x2000000 + i, OWNER, MINER_STAKE + i * 1 ether);
        }
        vm.prank(OWNER);
        staking.deregister(vm.addr(0x2000000 + 33));
        uint256 from = 0;
        for (uint32 i = 0; i < 70; ++i) {
            uint256 weight = i == 33 ? 0 : 20_001 + uint256(i);
            vm.assertEq(staking.leafWeight(i), weight, "weight");
            if (weight == 0) continue;
            assertDraws(from, i, weight);
            assertDraws(from + weight - 1, i, weight);
            from += weight;
        }
        vm.assertEq(staking.totalWeight(), from, "the root is the sum");
        assertDraws(from, 0, 20_001);
    }

    function assertDraws(uint256 random, uint256 leaf, uint256 weight) internal view {
        (uint32 drawn, uint64 itsWeight) = staking.drawLeaf(random);
        vm.assertEq(drawn, leaf, "leaf");
        vm.assertEq(itsWeight, weight, "weight");
    }

    function test_nobody_is_drawn_from_an_empty_tree() public {
        vm.expectRevert(abi.encodeWithSelector(IWeights.NoWeight.selector));
        staking.drawLeaf(1);
    }

    function test_while_locked_leaves_stay_behind_and_weights_do_not() public {
        registerMiner();
        staking.lockWeights(1010);
        vm.roll(1010);
        voteAs(ANN, 10 ether);
        vm.assertEq(staking.totalWeight(), 20_011, "up to the seed block the tree moves");
        vm.roll(1011);
        vm.expectEmit(address(staking));
        emit IWeights.LeafDeferred(node);
        voteAs(ANN, 20 ether);
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        vm.assertEq(staking.totalWeight(), 20_011, "then it does not");
        vm.assertEq(staking.weightOf(node), micro(20_031 ether), "the weight does");
        vm.expectRevert(abi.encodeWithSelector(IWeights.WeightsAreLocked.selector, 1266));
        staking.syncLeaf(node);
        (uint256 taken,) = staking.slash(node, 10_000, 0, JAIL_FOREVER);
        vm.assertEq(taken, 20_031 ether, "nor does a lock hold up a slash");

        vm.roll(1266);
        vm.expectRevert(abi.encodeWithSelector(IWeights.WeightsAreLocked.selector, 1266));
        staking.syncLeaf(node);
        vm.roll(1267);
        staking.syncLeaf(node);
        staking.syncLeaf(otherNode);
        vm.assertEq(staking.totalWeight(), 20_001, "by itself it ends, and leaves catch up");
        vm.assertEq(staking.leafWeight(0), 0, "the slashed one");
    }

    function test_leaving_changes_no_weight_of_the_past() public {
        registerMiner();
        vm.roll(15 * EPOCH_BLOCKS + 1);
        vm.prank(OWNER);
        staking.deregister(node);
        vm.roll(16 * EPOCH_BLOCKS);
        vm.assertEq(staking.weightAt(node, 12), micro(MINER_STAKE), "before");
        vm.assertEq(staking.weightAt(node, 15), micro(MINER_STAKE), "when its last epoch began");
        vm.assertEq(staking.weightAt(node, 16), 0, "from then on");
    }

    function test_only_a_node_has_a_leaf_to_sync() public {
        vm.expectRevert(abi.encodeWithSignature("NotRegistered(address)", node));
        staking.syncLeaf(node);
    }

    function test_locks_are_the_disputes_and_bounded() public {
        bytes memory refusal = abi.encodeWithSelector(IWeights.OnlyFor.selector, address(this), ANN);
        vm.startPrank(ANN);
        vm.expectRevert(refusal);
        staking.lockWeights(1000);
        vm.expectRevert(refusal);
        staking.unlockWeights();
        vm.stopPrank();

        vm.expectRevert(abi.encodeWithSelector(IWeights.LockOutOfBounds.selector, 999, 1255));
        staking.lockWeights(999);
        vm.expectRevert(abi.encodeWithSelector(IWeights.LockOutOfBounds.selector, 1257, 1513));
        staking.lockWeights(1257);
        vm.expectEmit(address(staking));
        emit IWeights.WeightsLocked(1256, 1512);
        vm.assertEq(staking.lockWeights(1256), 1512, "as late as it may begin");
        vm.expectEmit(address(staking));
        emit IWeights.WeightsUnlocked();
        staking.unlockWeights();

        vm.assertEq(staking.lockWeights(1020), 1276, "until its hash is gone");
        vm.assertEq(staking.lockWeights(1010), 1276, "an earlier one begins it earlier");
        (uint256 from, uint256 until) = staking.weightsLock();
        vm.assertEq(from, 1010, "from");
        vm.assertEq(until, 1276, "until");
        staking.unlockWeights();
        (from, until) = staking.weightsLock();
        vm.assertEq(from + until, 0, "no lock");
        vm.expectEmit(address(staking), 0);
        emit IWeights.WeightsUnlocked();
        staking.unlockWeights();
    }

    function test_a_lock_that_has_ended_is_none() public {
        staking.lockWeights(1000);
        vm.roll(1256);
        (uint256 from, uint256 until) = staking.weightsLock();
        vm.assertTrue(from == 1000 && until == 1256, "its last block");
        vm.roll(1257);
        (from, until) = staking.weightsLock();
        vm.assertTrue(from == 0 && until == 0, "over");
    }

    function test_a_row_of_locks_may_last_to_its_very_limit() public {
        uint256 until = staking.lockWeights(1000);
        while (until < 1000 + staking.MAX_LOCKED_BLOCKS()) {
            vm.roll(until - 8);
            until = staking.lockWeights(vm.getBlockNumber());
        }
        vm.assertEq(until, 1000 + staking.MAX_LOCKED_BLOCKS(), "7,200 blocks");
    }

    function test_a_leaf_that_need_not_move_is_not_behind() public {
        registerMiner();
        staking.lockWeights(1000);
        vm.roll(1001);
        vm.expectEmit(address(staking), 0);
        emit IWeights.LeafDeferred(node);
        voteAs(ANN, 0.5 ether);
        staking.unlockWeights();
        vm.expectEmit(address(staking));
        emit IWeights.LeafSynced(node, 20_001);
        staking.syncLeaf(node);
    }

    /// @dev A millionth of a CAI is the least that is told from nothing.
    function test_what_does_not_change_a_weight_is_no_entry_of_its_history() public {
        registerMiner();
        for (uint256 epoch = 11; epoch < 22; ++epoch) {
            vm.roll(epoch * EPOCH_BLOCKS);
            voteAs(ANN, 1);
        }
        for (uint256 epoch = 11; epoch < 22; ++epoch) {
            vm.assertEq(staking.weightAt(node, epoch), micro(MINER_STAKE), "known");
        }
    }

    function test_a_tree_that_gets_deeper_keeps_what_it_weighs() public {
        registerMiner();
        pretendNodes(4_096);
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        vm.assertEq(staking.leafOf(otherNode), 4_096, "the first that did not fit");
        vm.assertEq(staking.totalWeight(), 40_002, "both");
        assertDraws(20_000, 0, 20_001);
        assertDraws(20_001, 4_096, 20_001);
    }

    function test_locks_in_a_row_end_after_their_limit() public {
        uint256 start = 1000;
        uint256 until = staking.lockWeights(start);
        while (until + 200 - start <= staking.MAX_LOCKED_BLOCKS()) {
            vm.roll(until - 56);
            until = staking.lockWeights(vm.getBlockNumber());
        }
        vm.roll(until);
        vm.expectPartialRevert(IWeights.LockOutOfBounds.selector);
        staking.lockWeights(until);
        vm.roll(until + 1);
        staking.lockWeights(until + 1);
    }
}

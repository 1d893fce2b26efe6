// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {INodeRegistry, Role} from "../src/interfaces/INodeRegistry.sol";
import {IStaking} from "../src/interfaces/IStaking.sol";
import {IWeights} from "../src/interfaces/IWeights.sol";

/// @notice What somebody tried to gain by stake that is not there, or for gas alone, and that it comes to nothing.
contract StakingAttacksTest is Fixture {
    uint256 internal constant FUNDS = 2_592_000 ether; // a CAI a second for thirty days

    function setUp() public override {
        super.setUp();
        token.approve(address(staking), type(uint256).max);
    }

    function pass(uint256 seconds_) internal {
        vm.warp(vm.getBlockTimestamp() + seconds_);
        vm.roll(vm.getBlockNumber() + seconds_ / 12);
    }

    // A flood of metadata

    function setMetadataAs(address owner, string memory metadata) internal {
        vm.prank(owner);
        staking.setMetadata(node, metadata);
    }

    function test_a_flood_of_metadata_is_one_event_an_epoch() public {
        registerMiner();
        uint256 epoch = staking.currentEpoch();
        setMetadataAs(OWNER, "first");
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.MetadataSet.selector, node, epoch));
        setMetadataAs(OWNER, "second");
        vm.roll(vm.getBlockNumber() + EPOCH_BLOCKS);
        vm.expectEmit(address(staking));
        emit INodeRegistry.MetadataChanged(node, "third");
        setMetadataAs(OWNER, "third");
    }

    function test_where_to_look_for_metadata() public {
        vm.expectRevert(revertOf(INodeRegistry.NotRegistered.selector, node));
        staking.metadataEpoch(node);
        registerMiner();
        uint256 registered = staking.currentEpoch();
        vm.roll(vm.getBlockNumber() + 3 * EPOCH_BLOCKS);
        vm.assertEq(staking.metadataEpoch(node), registered, "told with the registration");
        setMetadataAs(OWNER, "new");
        vm.roll(vm.getBlockNumber() + EPOCH_BLOCKS);
        vm.assertEq(staking.metadataEpoch(node), registered + 3, "told again");
    }

    function test_a_flood_of_metadata_from_nodes_that_left_is_refused() public {
        registerMiner();
        vm.prank(OWNER);
        staking.deregister(node);
        vm.expectRevert(revertOf(IStaking.NodeInactive.selector, node));
        setMetadataAs(OWNER, "left");
    }

    function test_a_flood_of_metadata_from_nodes_whose_stake_has_left_is_refused() public {
        registerMiner();
        unvoteAllAs(OWNER);
        vm.expectRevert(revertOf(IStaking.NodeInactive.selector, node));
        setMetadataAs(OWNER, "without stake");
    }

    // A stale leaf

    /// @dev Stake enters, a lock begins, stake leaves under it; nobody brings the leaf to what is there.
    function leaveUnderLock(uint256 amount) internal {
        stakeAs(OWNER, amount);
        pass(1 hours);
        staking.fundRewards(FUNDS);
        staking.lockWeights(vm.getBlockNumber());
        vm.roll(vm.getBlockNumber() + 1);
        uint256 requestId = unvoteAs(OWNER, amount * 1e3);
        vm.roll(vm.getBlockNumber() + 300);
        pass(UNBONDING_DELAY);
        vm.assertEq(withdrawAs(OWNER, requestId), amount, "it has left");
        vm.assertEq(staking.leafWeight(staking.leafOf(node)), (amount + MINER_STAKE) / 1 ether, "a stale leaf");
    }

    function test_stale_leaf_earns_no_more_than_what_is_staked() public {
        registerMiner();
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        uint256 epochs = vm.getBlockTimestamp();
        leaveUnderLock(5_000_000 ether);
        pass(20 days);
        uint256 flowed = vm.getBlockTimestamp() - epochs;
        // It weighs as much as the other, so it earns as much, and what its leaf had more is for all.
        uint256 attackers = staking.claimable(node, OWNER);
        uint256 honest = staking.claimable(otherNode, OTHER_OWNER);
        vm.assertLe(attackers, honest + 1e9, "no more than an honest node with as much stake");
        vm.assertLe(attackers, flowed * 1 ether / 200, "where it was nearly everything");
        vm.prank(OWNER);
        vm.assertEq(staking.claim(node), attackers, "is paid");
        vm.assertEq(staking.leafWeight(staking.leafOf(node)), MINER_STAKE / 1 ether, "and synchronised");
        vm.assertGe(staking.rewardStream().carried, flowed * 9e17, "the rest is carried over");
    }

    function test_a_claim_under_a_lock_leaves_the_leaf_for_later() public {
        registerMiner();
        stakeAs(OWNER, 1_000 ether);
        staking.fundRewards(FUNDS);
        pass(100);
        staking.lockWeights(vm.getBlockNumber());
        vm.roll(vm.getBlockNumber() + 1);
        unvoteAs(OWNER, 1_000 ether * 1e3);
        vm.prank(OWNER);
        staking.claim(node);
        vm.assertEq(staking.leafWeight(0), 21_001, "as it was");
        pass(300 * 12);
        vm.expectEmit(address(staking));
        emit IWeights.LeafSynced(node, 20_001);
        vm.prank(OWNER);
        staking.claim(node);
        vm.assertEq(staking.leafWeight(0), 20_001, "as it is");
    }

    /// @dev A key without a node has no leaf, and the number of none is the number of the first.
    function test_a_claim_at_a_key_without_a_node_moves_nobodys_leaf() public {
        registerMiner();
        voteAs(ANN, 20_000 ether);
        staking.fundRewards(FUNDS);
        pass(1000);
        unvoteAllAs(ANN);
        uint256 leaf = staking.leafWeight(0);
        vm.prank(ANN);
        vm.assertGe(staking.claim(otherNode), 1 ether, "what was earned before it left");
        vm.assertEq(staking.leafWeight(0), leaf, "the first node's leaf");
        vm.assertEq(leaf, MINER_STAKE / 1 ether, "is what it has");
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        vm.assertEq(staking.claimable(otherNode, OTHER_OWNER), 0, "and nothing waits for who registers it");
    }

    function test_a_leaf_that_stayed_below_earns_what_it_weighs() public {
        registerMiner();
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        staking.lockWeights(vm.getBlockNumber());
        vm.roll(vm.getBlockNumber() + 1);
        stakeAs(OWNER, 5_000_000 ether);
        vm.roll(vm.getBlockNumber() + 300);
        staking.fundRewards(FUNDS);
        pass(1000);
        vm.assertLe(staking.claimable(node, OWNER), 500 ether, "not before it is in the tree");
        vm.assertEq(staking.rewardStream().carried, 0, "nothing is missed");
    }

    // The owner leaves first

    /// @dev The owner, whom nobody else has to pay for what it loses.
    function test_an_owner_that_exits_first_waits_for_its_voters() public {
        registerMiner();
        uint256 before = token.balanceOf(OWNER) + MINER_STAKE;
        voteAs(ANN, 5_000_000 ether);
        uint256 owners = unvoteAllAs(OWNER);
        pass(1 hours);
        uint256 anns = unvoteAllAs(ANN);
        pass(UNBONDING_DELAY - 1 hours);
        uint256 releaseTime = staking.unbonding(node, OWNER, owners).releaseTime;
        vm.expectRevert(abi.encodeWithSelector(IStaking.StillUnbonding.selector, owners, releaseTime));
        withdrawAs(OWNER, owners);
        pass(1 hours);
        vm.assertEq(withdrawAs(ANN, anns), 5_000_000 ether, "the voter has all of it");
        // Now the owner equivocates, and reports itself, with all that a slasher may give.
        (, uint256 reward) = staking.slash(node, 10_000, 5_000, 0);
        vm.assertEq(reward, 100 ether, "bounded absolutely");
        pass(UNBONDING_DELAY);
        uint256 after_ = token.balanceOf(OWNER) + reward + withdrawAs(OWNER, owners);
        vm.assertLt(after_, before, "the owner has lost");
        vm.assertEq(before - after_, MINER_STAKE - 100 ether, "nearly all");
    }

    /// @dev In two steps: what is above the minimum leaves as everybody's does, the minimum does not.
    function test_an_owner_that_exits_in_steps_waits_with_the_last() public {
        registerMiner();
        voteAs(ANN, 1_000 ether);
        stakeAs(OWNER, 10_000 ether);
        uint256 early = unvoteAs(OWNER, 10_000 ether * 1e3);
        uint256 late = unvoteAllAs(OWNER);
        uint256 nowS = vm.getBlockTimestamp();
        vm.assertEq(staking.unbonding(node, OWNER, early).releaseTime, nowS + UNBONDING_DELAY, "a voter's delay");
        vm.assertEq(staking.unbonding(node, OWNER, late).releaseTime, nowS + 2 * UNBONDING_DELAY, "twice that");
    }

    function test_an_owner_that_was_slashed_below_its_minimum_waits_too() public {
        registerMiner();
        voteAs(ANN, 1_000 ether);
        staking.slash(node, 100, 0, 0);
        vm.assertTrue(!staking.nodeInfo(node).active, "below");
        uint256 id = unvoteAs(OWNER, 1_000 ether * 1e3);
        uint256 expected = vm.getBlockTimestamp() + 2 * UNBONDING_DELAY;
        vm.assertEq(staking.unbonding(node, OWNER, id).releaseTime, expected, "twice");
    }

    function test_an_owner_alone_leaves_as_everybody_does() public {
        registerMiner();
        uint256 id = unvoteAllAs(OWNER);
        uint256 expected = vm.getBlockTimestamp() + UNBONDING_DELAY;
        vm.assertEq(staking.unbonding(node, OWNER, id).releaseTime, expected, "nobody waits for anybody");
    }

    /// @dev Whoever reports, whatever voters have: half of what the owner loses, or 100 CAI.
    function test_reporting_oneself_never_pays(uint256 voted, uint256 own, bool leaves) public {
        own = bound(own, MINER_STAKE, 1_000_000 ether);
        registerAs(Role.Miner, NODE_KEY, OWNER, own);
        voteAs(ANN, bound(voted, 1, 9_000_000 ether));
        if (leaves) unvoteAllAs(OWNER);
        uint256 loses = own; // also what is on its way out
        (, uint256 reward) = staking.slash(node, 10_000, 5_000, 0);
        vm.assertLe(reward, loses / 2, "half at most");
        if (leaves) vm.assertLe(reward, 100 ether, "an absolute bound");
    }

    // Sniped fees

    function addFees(uint256 amount) internal {
        vm.prank(ESCROW);
        staking.addFees(node, amount);
    }

    function test_fees_cannot_be_sniped_in_one_transaction() public {
        registerMiner();
        pass(90 days);
        uint256 before = token.balanceOf(BEN);
        voteAs(BEN, 9_000_000 ether);
        addFees(10_000 ether);
        vm.assertEq(staking.claimable(node, BEN), 0, "nothing has flowed");
        uint256 id = unvoteAllAs(BEN);
        pass(30 days);
        vm.assertEq(staking.claimable(node, BEN), 0, "and nothing was earned");
        vm.assertEq(withdrawAs(BEN, id), 9_000_000 ether, "its own");
        vm.assertLe(token.balanceOf(BEN), before, "nothing was gained");
        uint256 owners = staking.claimable(node, OWNER);
        vm.assertLe(owners, 10_000 ether, "all of it");
        vm.assertGe(owners + 1e12, 10_000 ether, "for who was there");
    }

    /// @dev Who comes just before an old arrival is settled has nothing of what has flowed.
    function test_fees_that_have_flowed_are_of_who_was_there() public {
        registerMiner();
        addFees(7_000 ether);
        pass(7 days);
        voteAs(BEN, 9_000_000 ether);
        vm.assertEq(staking.claimable(node, BEN), 0, "too late");
        vm.assertGe(staking.claimable(node, OWNER) + 1e12, 7_000 ether, "all");
    }

    function test_fees_flow_evenly_and_settling_only_slows_them() public {
        registerMiner();
        addFees(7_000 ether);
        vm.assertEq(staking.nodeRewards(node).fees, 7_000 ether, "all to come");
        pass(1 days);
        vm.assertEq(staking.nodeRewards(node).fees, 6_000 ether, "a seventh");
        vm.assertGe(staking.claimable(node, OWNER) + 1e12, 1_000 ether, "a seventh");
        vm.prank(OWNER);
        staking.claim(node);
        pass(3.5 days);
        vm.assertEq(staking.nodeRewards(node).fees, 3_000 ether, "half of the rest");
        addFees(1_000 ether);
        vm.assertEq(staking.nodeRewards(node).fees, 4_000 ether, "added");
        pass(7 days);
        vm.assertEq(staking.nodeRewards(node).fees, 0, "none is left");
        vm.prank(OWNER);
        uint256 last = staking.claim(node);
        vm.assertGe(last + 1e12, 7_000 ether, "everything");
        vm.assertLe(staking.rewardsHeld(), 1e12, "all is paid");
    }

    /// @dev The second call finds that the first one's time has come. So an owner has something of each settlement.
    function takeCommission() internal {
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(OWNER);
            staking.announceCommission(node, 1_000);
            vm.warp(vm.getBlockTimestamp() + staking.COMMISSION_NOTICE());
        }
    }

    /// @dev Of little, nothing flows in a second; who settles each second must not hold it up for good.
    function test_settling_often_does_not_hold_up_small_fees() public {
        registerMiner();
        takeCommission();
        staking.fundRewards(FUNDS);
        uint256 arrived = vm.getBlockTimestamp();
        addFees(100_000 gwei);
        pass(1);
        voteAs(ANN, 1);
        vm.assertEq(staking.nodeRewards(node).fees, 100_000 gwei, "too little for a second");
        vm.warp(arrived + staking.FEE_PERIOD());
        vm.assertEq(staking.nodeRewards(node).fees, 0, "all of it, a period after it came");
    }

    function test_less_than_a_gwei_of_fees_is_carried_over() public {
        registerMiner();
        addFees(1e9 + 7);
        vm.assertEq(staking.rewardStream().carried, 7, "for the next funding");
        vm.assertEq(staking.nodeRewards(node).fees, 1e9, "the rest flows");
        addFees(5);
        vm.assertEq(staking.rewardStream().carried, 12, "and more of it");
    }
}

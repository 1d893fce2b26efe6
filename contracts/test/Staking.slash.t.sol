// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {IStaking, JAIL_FOREVER, NodeInfo} from "../src/interfaces/IStaking.sol";

/// @notice How a slash of any size is shared, and what jail is; the test itself is the slasher here.
contract StakingSlashTest is Fixture {
    function setUp() public override {
        super.setUp();
        registerMiner();
    }

    function test_a_slash_takes_the_same_part_of_everybodys(uint256 ann, uint256 ben, uint256 fraction)
        public
    {
        ann = bound(ann, 1, 5_000_000 ether);
        ben = bound(ben, 1, 5_000_000 ether);
        fraction = bound(fraction, 1, 5_001);
        if (fraction == 5_001) fraction = 10_000;
        voteAs(ANN, ann);
        uint256 requestId = unvoteAs(BEN, voteAs(BEN, ben));
        (uint256 taken, uint256 reward) = staking.slash(node, fraction, 1_000, 1 days);

        uint256 active = MINER_STAKE + ann;
        vm.assertEq(taken, active * fraction / 10_000 + ben * fraction / 10_000, "taken");
        // A tenth, or half of what the owner loses if that is less; but for what is always worth a report.
        uint256 half = MINER_STAKE / 2 * fraction / 10_000;
        vm.assertEq(reward, half < taken / 10 ? half : taken / 10, "reward");
        assertKept(staking.nodeInfo(node).ownStake, MINER_STAKE, fraction, "owner");
        assertKept(staking.stakeOf(node, ANN), ann, fraction, "voter");
        assertKept(staking.unbonding(node, BEN, requestId).amount, ben, fraction, "unbonding");
        NodeInfo memory info = staking.nodeInfo(node);
        uint256 owed = info.totalStake + info.unbondingStake + taken;
        vm.assertEq(token.balanceOf(address(staking)), owed, "held to the wei");
        (uint256 own, uint256 total) = staking.slashableStake(node);
        vm.assertEq(own, info.ownStake, "slashable own");
        vm.assertEq(total, info.totalStake + info.unbondingStake, "slashable in all");
    }

    /// @dev Rounding may move one wei between the holders of a pool.
    function assertKept(uint256 kept, uint256 before, uint256 fraction, string memory whose) internal pure {
        uint256 exact = before * (10_000 - fraction) / 10_000;
        vm.assertLe(kept, exact + 1, whose);
        vm.assertGe(kept + 1, exact, whose);
    }

    function test_what_a_slash_leaves_can_be_taken_out() public {
        uint256 shares = voteAs(ANN, 1000 ether);
        staking.slash(node, 2_500, 1_000, JAIL_FOREVER);
        uint256 requestId = unvoteAs(ANN, shares);
        passUnbonding();
        vm.assertEq(withdrawAs(ANN, requestId), 750 ether, "three quarters");
    }

    function test_what_is_taken_is_owed_to_the_slasher_or_burned() public {
        (uint256 taken, uint256 reward) = staking.slash(node, 5_000, 5_000, 0);
        vm.assertEq(taken, MINER_STAKE / 2, "half");
        vm.assertEq(staking.owedTo(address(this)), reward, "owed");
        vm.assertEq(staking.slashedToBurn(), taken - reward, "to burn");
        vm.expectRevert(abi.encodeWithSelector(IStaking.NotOwed.selector, address(this), reward + 1, reward));
        staking.payReward(REPORTER, reward + 1);
        staking.payReward(REPORTER, reward);
        vm.assertEq(token.balanceOf(REPORTER), reward, "paid");
        vm.expectRevert(abi.encodeWithSelector(IStaking.NotOwed.selector, address(this), 1, 0));
        staking.payReward(REPORTER, 1);
        vm.expectRevert(abi.encodeWithSelector(IStaking.NotOwed.selector, ANN, 1, 0));
        vm.prank(ANN);
        staking.payReward(ANN, 1);

        uint256 supply = token.totalSupply();
        vm.prank(ANN);
        vm.assertEq(staking.burnSlashed(), taken - reward, "anybody burns");
        vm.assertEq(token.totalSupply(), supply - taken + reward, "burned");
        vm.expectRevert(abi.encodeWithSelector(IStaking.NothingToMove.selector));
        staking.burnSlashed();
    }

    function test_what_each_slasher_took_is_burned_once() public {
        (uint256 first,) = staking.slash(node, 500, 0, 0);
        (uint256 again,) = staking.slash(node, 500, 0, 0);
        vm.prank(ESCROW);
        (uint256 second,) = staking.slash(node, 1_000, 0, 0);
        vm.prank(address(slashing));
        (uint256 third,) = staking.slash(node, 10_000, 0, 0);
        vm.assertEq(first + again + second + third, MINER_STAKE, "all of it");
        vm.assertEq(staking.slashedToBurn(), MINER_STAKE, "to burn");
        vm.assertEq(staking.burnSlashed(), MINER_STAKE, "burned");
        vm.assertEq(staking.slashedToBurn(), 0, "nothing more");
        vm.assertEq(token.balanceOf(address(staking)), 0, "nothing is left");
    }

    function test_jail_ends_when_its_time_is_over_and_its_owner_says_so() public {
        stakeAs(OWNER, 100_000 ether);
        uint256 until = vm.getBlockTimestamp() + 3 days;
        staking.slash(node, 100, 0, 3 days);
        vm.assertEq(staking.nodeInfo(node).jailedUntil, until, "until");
        vm.assertEq(staking.weightOf(node), 0, "no weight");
        vm.assertEq(staking.totalWeight(), 0, "nor in the tree");
        bytes memory early = abi.encodeWithSelector(IStaking.NodeJailed.selector, node, until);
        vm.warp(until - 1);
        vm.expectRevert(early);
        vm.prank(OWNER);
        staking.unjail(node);
        vm.warp(until);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotOwner.selector, node, ANN));
        vm.prank(ANN);
        staking.unjail(node);
        vm.prank(OWNER);
        staking.unjail(node);
        vm.assertEq(staking.totalWeight(), staking.nodeInfo(node).totalStake / 1 ether, "back in the tree");
        vm.expectRevert(revertOf(IStaking.NodeNotJailed.selector, node));
        vm.prank(OWNER);
        staking.unjail(node);
    }

    function test_no_stake_ends_a_jail() public {
        stakeAs(OWNER, 100_000 ether);
        staking.slash(node, 100, 0, 3 days);
        stakeAs(OWNER, 100_000 ether);
        vm.assertTrue(!staking.nodeInfo(node).active, "still in jail");
        vm.assertEq(staking.weightOf(node), 0, "no weight");
    }

    function test_a_later_slash_never_shortens_a_jail() public {
        uint256 until = vm.getBlockTimestamp() + 3 days;
        staking.slash(node, 1, 0, 3 days);
        staking.slash(node, 1, 0, 1 days);
        vm.assertEq(staking.nodeInfo(node).jailedUntil, until, "the longer one");
        staking.slash(node, 1, 0, 0);
        vm.assertEq(staking.nodeInfo(node).jailedUntil, until, "still");
        staking.slash(node, 1, 0, JAIL_FOREVER);
        staking.slash(node, 1, 0, 5 days);
        vm.assertEq(staking.nodeInfo(node).jailedUntil, JAIL_FOREVER, "for good");
        vm.warp(JAIL_FOREVER - 1);
        vm.expectRevert(abi.encodeWithSelector(IStaking.NodeJailed.selector, node, JAIL_FOREVER));
        vm.prank(OWNER);
        staking.unjail(node);
    }

    function test_unjailed_below_the_minimum_it_waits_for_stake() public {
        staking.slash(node, 100, 0, 1 days);
        stakeAs(OWNER, 1 ether); // in jail one may add, and it counts for nothing yet
        vm.assertEq(staking.weightOf(node), 0, "still jailed");
        vm.warp(vm.getBlockTimestamp() + 1 days);
        vm.prank(OWNER);
        staking.unjail(node);
        vm.assertTrue(!staking.nodeInfo(node).active, "too little is left");
        stakeAs(OWNER, 1000 ether);
        vm.assertTrue(staking.nodeInfo(node).active, "now it is enough");
    }

    function test_a_slash_without_jail_leaves_active_who_has_enough() public {
        stakeAs(OWNER, 100_000 ether);
        staking.slash(node, 100, 0, 0);
        vm.assertTrue(staking.nodeInfo(node).active, "enough");
        for (uint256 i = 0; i < 3; ++i) {
            staking.slash(node, 5_000, 0, 0);
        }
        vm.assertTrue(!staking.nodeInfo(node).active, "not any more");
        vm.assertEq(staking.totalWeight(), 0, "no weight");
    }

    function test_a_slash_never_reverts_for_a_registered_node(uint8 seed, uint256 fraction, uint256 jailS)
        public
    {
        if (seed & 1 != 0) voteAs(ANN, 5 ether);
        if (seed & 2 != 0) unvoteAllAs(OWNER);
        if (seed & 4 != 0) {
            vm.prank(OWNER);
            staking.deregister(node);
        }
        if (seed & 8 != 0) staking.slash(node, 10_000, 0, 0);
        if (seed & 16 != 0) staking.lockWeights(vm.getBlockNumber());
        if (seed & 32 != 0) vm.roll(vm.getBlockNumber() + 1);
        fraction = bound(fraction, 1, 5_001);
        if (fraction == 5_001) fraction = 10_000;
        (, uint256 before) = staking.slashableStake(node);
        (uint256 taken,) = staking.slash(node, fraction, 5_000, jailS);
        (, uint256 left) = staking.slashableStake(node);
        vm.assertEq(left, before - taken, "what is left");
        vm.assertEq(staking.weightOf(node) == 0 || fraction < 10_000 ? 1 : 0, 1, "no weight without stake");
    }

    /// @dev So shares of before can never be worth anything: nothing enters either pool again.
    function test_after_a_slash_of_everything_nothing_ever_enters_the_pools() public {
        uint256 shares = voteAs(ANN, 5 ether);
        uint256 requestId = unvoteAs(ANN, shares / 2);
        staking.slash(node, 10_000, 0, 0);
        vm.assertEq(staking.nodeInfo(node).jailedUntil, JAIL_FOREVER, "for good");
        vm.expectRevert(abi.encodeWithSelector(IStaking.NodeJailed.selector, node, JAIL_FOREVER));
        stakeAs(OWNER, 1 ether);
        vm.expectRevert(revertOf(IStaking.NodeInactive.selector, node));
        voteAs(BEN, 1 ether);
        vm.expectRevert(abi.encodeWithSelector(IStaking.NothingToMove.selector));
        unvoteAs(ANN, shares / 2);
        passUnbonding();
        vm.assertEq(withdrawAs(ANN, requestId), 0, "nothing comes out");
    }

    function test_bounds_of_a_slash() public {
        refused(0, 1_000);
        refused(5_001, 1_000);
        refused(9_999, 1_000);
        refused(10_001, 1_000);
        refused(10_000, 5_001);
        vm.expectRevert(revertOf(INodeRegistry.NotRegistered.selector, otherNode));
        staking.slash(otherNode, 10_000, 1_000, 0);
        vm.expectRevert(revertOf(IStaking.NotSlasher.selector, ANN));
        vm.prank(ANN);
        staking.slash(node, 10_000, 0, 0);
    }

    function refused(uint256 fraction, uint256 rewardShare) internal {
        bytes4 selector = IStaking.SlashOutOfBounds.selector;
        vm.expectRevert(abi.encodeWithSelector(selector, fraction, rewardShare));
        staking.slash(node, fraction, rewardShare, 0);
    }
}

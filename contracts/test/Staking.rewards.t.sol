// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {GenerousToken} from "./GenerousToken.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";
import {IRewards, NodeRewards, RewardStream} from "../src/interfaces/IRewards.sol";
import {IWeights} from "../src/interfaces/IWeights.sol";

/// @notice Who earns what: the stream by stake and time, fees by node, the owner's commission.
contract StakingRewardsTest is Fixture {
    uint256 internal constant FUNDS = 2_592_000 ether; // a CAI a second for thirty days

    function setUp() public override {
        super.setUp();
        token.approve(address(staking), type(uint256).max);
        registerMiner();
    }

    function pass(uint256 seconds_) internal {
        vm.warp(vm.getBlockTimestamp() + seconds_);
    }

    function addFees(address node_, uint256 amount) internal {
        vm.prank(ESCROW);
        staking.addFees(node_, amount);
        pass(staking.FEE_PERIOD());
    }

    function claimAs(address account) internal returns (uint256) {
        vm.prank(account);
        return staking.claim(node);
    }

    function assertNear(uint256 left, uint256 right, string memory what) internal pure {
        vm.assertLe(left, right, what);
        vm.assertGe(left + 1e9, right, what);
    }

    function test_the_stream_pays_by_stake_and_time() public {
        staking.fundRewards(FUNDS);
        pass(1000);
        assertNear(staking.claimable(node, OWNER), 1000 ether, "all of it at first");
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        voteAs(ANN, MINER_STAKE);
        pass(3000);
        assertNear(staking.claimable(node, OWNER), 2000 ether, "then a third");
        assertNear(staking.claimable(otherNode, OTHER_OWNER), 1000 ether, "a third each");
        assertNear(claimAs(ANN), 1000 ether, "the voter's");
        vm.expectRevert(abi.encodeWithSelector(IRewards.NothingToClaim.selector, node, ANN));
        claimAs(ANN);
        pass(60 days);
        claimAs(ANN);
        claimAs(OWNER);
        vm.prank(OTHER_OWNER);
        staking.claim(otherNode);
        vm.assertLe(staking.rewardsHeld(), 1e12, "all is paid in the end");
        vm.assertEq(staking.rewardStream().rate, 0, "nothing flows any more");
    }

    function test_what_nobody_could_earn_is_in_the_next_funding() public {
        staking.fundRewards(FUNDS);
        vm.prank(OWNER);
        staking.deregister(node);
        pass(15 days);
        vm.assertEq(staking.rewardStream().carried, FUNDS / 2, "carried over");
        pass(15 days + 1);
        staking.fundRewards(0);
        RewardStream memory stream = staking.rewardStream();
        vm.assertGe(stream.remaining + stream.carried, FUNDS, "nothing is lost");
    }

    function test_what_flows_to_nodes_is_carried_by_nobody() public {
        vm.assertEq(staking.rewardStream().carried, 0, "before there is a stream");
        vm.assertEq(staking.claimable(node, OWNER), 0, "nothing yet");
        staking.fundRewards(FUNDS);
        vm.assertEq(staking.claimable(node, OWNER), 0, "nothing yet");
        pass(1000);
        vm.assertEq(staking.rewardStream().carried, 0, "while it flows");
        staking.syncLeaf(node);
        vm.assertEq(staking.rewardStream().carried, 0, "when it is settled");
    }

    /// @dev It has no leaf, though the leaf of the first node has the number that it would have.
    function test_stake_for_a_key_that_is_not_registered_earns_and_misses_nothing() public {
        vm.prank(BEN);
        uint256 shares = staking.stake(otherNode, MINER_STAKE);
        staking.fundRewards(FUNDS);
        pass(1000);
        vm.assertEq(staking.claimable(otherNode, BEN), 0, "earns nothing");
        vm.prank(BEN);
        staking.unvote(otherNode, shares);
        vm.assertEq(staking.rewardStream().carried, 0, "nothing is missed");
        assertNear(claimAs(OWNER), 1000 ether, "all is the node's");
    }

    /// @dev To the end of a day, counted from the deployment.
    function test_the_stream_lasts_for_its_period_and_less_than_a_day_more() public {
        pass(1 hours);
        uint256 end = vm.getBlockTimestamp() + staking.REWARD_PERIOD() + 23 hours;
        uint256 rate = FUNDS / (end - vm.getBlockTimestamp()) / 1e9 * 1e9;
        vm.expectEmit(address(staking));
        emit IRewards.RewardsFunded(address(this), FUNDS, rate, end);
        staking.fundRewards(FUNDS);
        uint256 lasts = staking.rewardStream().endTime - vm.getBlockTimestamp();
        vm.assertEq(lasts, staking.REWARD_PERIOD() + 23 hours, "to the end of the day");
        pass(23 hours);
        staking.fundRewards(FUNDS);
        lasts = staking.rewardStream().endTime - vm.getBlockTimestamp();
        vm.assertEq(lasts, staking.REWARD_PERIOD(), "no day more than that");
    }

    function test_funding_cannot_stretch_the_stream_thin() public {
        staking.fundRewards(FUNDS);
        uint256 rate = staking.rewardStream().rate;
        staking.fundRewards(0);
        vm.assertEq(staking.rewardStream().rate, rate, "as fast is not slower");
        pass(1 days);
        vm.expectPartialRevert(IRewards.RateOutOfBounds.selector);
        vm.prank(ANN);
        staking.fundRewards(1);
        uint256 before = staking.rewardStream().rate;
        staking.fundRewards(2 * 86_400 ether);
        vm.assertGe(staking.rewardStream().rate, before, "not slower");
    }

    function refuseRate(uint256 amount, uint256 rate, uint256 before) internal {
        uint256 most = uint256(type(uint40).max) * 1e9;
        vm.expectRevert(abi.encodeWithSelector(IRewards.RateOutOfBounds.selector, rate, before, most));
        staking.fundRewards(amount);
    }

    function test_the_stream_has_a_least_and_a_greatest_rate() public {
        uint256 unit = 1e9 * staking.REWARD_PERIOD();
        vm.etch(address(token), address(new GenerousToken()).code);
        refuseRate(unit - 1, 0, 0);
        staking.fundRewards(unit);
        refuseRate(unit * type(uint40).max, uint256(1 << 40) * 1e9, 1e9);
        staking.fundRewards(unit * (type(uint40).max - 1));
        vm.assertEq(staking.rewardStream().rate, uint256(type(uint40).max) * 1e9, "the greatest");
    }

    function test_the_funder_needs_no_right_but_the_money() public {
        vm.startPrank(BEN);
        staking.fundRewards(1_000_000 ether);
        vm.stopPrank();
        vm.assertEq(staking.rewardsHeld(), 1_000_000 ether, "held");
    }

    function test_fees_are_the_nodes_and_divided_by_commission() public {
        voteAs(ANN, MINER_STAKE);
        vm.prank(OWNER);
        staking.announceCommission(node, 1_000);
        pass(staking.COMMISSION_NOTICE());
        addFees(node, 200 ether);
        assertNear(staking.claimable(node, OWNER), 20 ether + 90 ether, "a tenth and half of the rest");
        assertNear(staking.claimable(node, ANN), 90 ether, "half of the rest");
        assertNear(claimAs(OWNER), 110 ether, "paid");
        assertNear(claimAs(ANN), 90 ether, "paid");
    }

    function test_fees_come_from_escrow_for_nodes() public {
        vm.expectRevert(abi.encodeWithSelector(IWeights.OnlyFor.selector, ESCROW, ANN));
        vm.prank(ANN);
        staking.addFees(node, 1);
        vm.expectPartialRevert(bytes4(keccak256("NotRegistered(address)")));
        vm.prank(ESCROW);
        staking.addFees(otherNode, 1);
    }

    function test_without_shares_fees_are_the_owners() public {
        unvoteAllAs(OWNER);
        addFees(node, 7 ether);
        vm.assertEq(claimAs(OWNER), 7 ether, "all of them");
    }

    function test_new_shares_earn_nothing_of_the_past() public {
        addFees(node, 100 ether);
        voteAs(ANN, 1_000_000 ether);
        vm.assertEq(staking.claimable(node, ANN), 0, "came later");
        addFees(node, 100 ether);
        uint256 before = staking.claimable(node, ANN);
        unvoteAllAs(ANN);
        vm.assertEq(staking.claimable(node, ANN), before, "what was earned is kept");
        addFees(node, 100 ether);
        vm.assertEq(staking.claimable(node, ANN), before, "unbonding stake earns nothing");
        vm.assertEq(claimAs(ANN), before, "and is paid");
    }

    function test_a_commission_rises_after_its_notice_and_falls_at_once() public {
        vm.startPrank(OWNER);
        staking.announceCommission(node, 2_000);
        vm.stopPrank();
        staking.fundRewards(FUNDS);
        NodeRewards memory rewards = staking.nodeRewards(node);
        vm.assertEq(rewards.commission, 0, "not yet");
        vm.assertEq(rewards.nextCommission, 2_000, "announced");
        vm.assertEq(rewards.nextCommissionFrom, vm.getBlockTimestamp() + 7 days, "when");
        voteAs(ANN, MINER_STAKE);
        pass(7 days - 1);
        vm.prank(ESCROW);
        staking.addFees(node, 2 ether);
        vm.assertEq(staking.nodeRewards(node).commission, 0, "in the last second before");
        pass(1);
        // All that has flowed until now is divided as it was, for all that it is settled later.
        assertNear(staking.claimable(node, ANN), 302_400 ether + 1 ether / uint256(7 days), "half");
        vm.prank(ESCROW);
        staking.addFees(node, 2 ether);
        vm.assertEq(staking.nodeRewards(node).commission, 2_000, "from then on");
        pass(7 days);
        vm.assertEq(staking.nodeRewards(node).fees, 0, "all has flowed");
        uint256 later = 302_400 ether * 2 * 4 / 10 + 4 ether * 4 / 10;
        vm.assertGe(staking.claimable(node, ANN), 302_400 ether + later, "half of four fifths");
        vm.assertLe(claimAs(ANN), 302_401 ether + later, "and no more");

        vm.prank(OWNER);
        staking.announceCommission(node, 500);
        vm.assertEq(staking.nodeRewards(node).commission, 500, "falls at once");
        vm.expectRevert(abi.encodeWithSelector(IRewards.CommissionTooHigh.selector, 5_001, 5_000));
        vm.prank(OWNER);
        staking.announceCommission(node, 5_001);
        vm.expectRevert(abi.encodeWithSignature("NotOwner(address,address)", node, ANN));
        vm.prank(ANN);
        staking.announceCommission(node, 1);
    }

    function test_a_slash_leaves_what_was_earned() public {
        addFees(node, 100 ether);
        voteAs(ANN, MINER_STAKE);
        addFees(node, 100 ether);
        staking.slash(node, 10_000, 0, 0);
        assertNear(claimAs(ANN), 50 ether, "the voter's");
        assertNear(claimAs(OWNER), 150 ether, "the owner's");
    }

    /// @dev The leaf is still in the tree when its node is jailed under a lock; what flows there is carried.
    function test_a_leaf_that_stays_behind_earns_for_nobody() public {
        staking.fundRewards(FUNDS);
        staking.lockWeights(vm.getBlockNumber());
        vm.roll(vm.getBlockNumber() + 1);
        pass(1000);
        staking.slash(node, 10_000, 0, 0);
        uint256 earned = staking.claimable(node, OWNER);
        pass(1000);
        vm.roll(vm.getBlockNumber() + 300);
        staking.syncLeaf(node);
        vm.assertEq(staking.claimable(node, OWNER), earned, "not a wei since");
        assertNear(claimAs(OWNER), 1000 ether, "until the slash");
        assertNear(staking.rewardStream().carried, 1000 ether, "then nobody's");
    }

    function test_what_several_leaves_miss_adds_up() public {
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        staking.fundRewards(FUNDS);
        staking.lockWeights(vm.getBlockNumber());
        vm.roll(vm.getBlockNumber() + 1);
        staking.slash(node, 10_000, 0, 0);
        staking.slash(otherNode, 10_000, 0, 0);
        pass(1000);
        vm.roll(vm.getBlockNumber() + 300);
        staking.syncLeaf(node);
        assertNear(staking.rewardStream().carried, 500 ether, "of the first");
        staking.syncLeaf(otherNode);
        assertNear(staking.rewardStream().carried, 1000 ether, "and of the second");
    }

    function test_rounding_never_pays_more_than_came_in(uint256[12] memory amounts) public {
        uint256 paidIn = 0;
        for (uint256 i = 0; i < amounts.length; ++i) {
            uint256 amount = bound(amounts[i], 1, 1e22);
            if (i % 3 == 0) voteAs(amounts[i] % 2 == 0 ? ANN : BEN, amount);
            addFees(node, amount);
            paidIn += amount;
            uint256 owed = staking.claimable(node, OWNER) + staking.claimable(node, ANN);
            owed += staking.claimable(node, BEN);
            vm.assertLe(owed, paidIn, "at most what came in");
            vm.assertGe(owed + (i + 2) * 1e9, paidIn, "and nearly all of it");
        }
    }

    function test_a_slash_of_everything_takes_the_owners_commission() public {
        vm.prank(OWNER);
        staking.announceCommission(node, 5_000);
        pass(staking.COMMISSION_NOTICE());
        vm.prank(OWNER);
        staking.announceCommission(node, 5_000);
        voteAs(ANN, MINER_STAKE);
        staking.fundRewards(FUNDS);
        pass(500);
        staking.syncLeaf(node);
        pass(500);
        assertNear(staking.claimable(node, OWNER), 750 ether, "half, and half of the rest");
        vm.prank(address(slashing));
        staking.slash(node, 10_000, 0, 0);
        assertNear(staking.claimable(node, OWNER), 625 ether, "of what was settled before only");
        assertNear(staking.claimable(node, ANN), 375 ether, "the rest is divided by shares");
        vm.assertEq(staking.nodeRewards(node).commission, 0, "none any more");
        pass(1000);
        assertNear(claimAs(OWNER) + claimAs(ANN), 1000 ether, "and no more flows");
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {JuryFixture} from "./JuryFixture.sol";
import {Ballot, Dispute, Fault, IDisputes, Phase} from "../src/interfaces/IDisputes.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {NodeInfo, JAIL_FOREVER} from "../src/interfaces/IStaking.sol";

/// @notice How a jury decides, and who pays.
contract DisputesVerdictTest is JuryFixture {
    function test_guilty_costs_the_stake_and_pays_reporter_and_majority() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        voteAll(disputeId, 4, 3);
        disputes.closeDispute(disputeId);
        assertPhase(disputeId, Phase.Guilty, "guilty");
        vm.assertEq(staking.nodeInfo(node).jailedUntil, JAIL_FOREVER, "jailed");
        vm.assertEq(staking.nodeInfo(node).totalStake, 0, "all of it");
        uint256 reward = MINER_STAKE / 5;
        (uint256 held, uint256 rewards) = disputes.creditOf(REPORTER);
        vm.assertEq(held, BOND, "the bond comes back");
        vm.assertEq(rewards, reward / 2, "a tenth of the penalty");

        uint256 before = token.balanceOf(REPORTER);
        disputes.payCredit(REPORTER);
        vm.assertEq(token.balanceOf(REPORTER), before + BOND + reward / 2, "paid");
        uint256[] memory keys = jurorKeys(disputeId);
        for (uint256 i = 0; i < 4; ++i) {
            assertJurorPaid(disputeId, keys[i], reward / 8);
        }
        for (uint256 i = 4; i < 7; ++i) {
            refuseJuror(disputeId, vm.addr(keys[i]));
        }
        vm.assertEq(token.balanceOf(address(disputes)), 0, "nothing is kept");
    }

    function assertJurorPaid(uint256 disputeId, uint256 key, uint256 amount) internal {
        uint256 before = token.balanceOf(peerOwner(key));
        disputes.payJurors(disputeId, one(vm.addr(key)));
        vm.assertEq(token.balanceOf(peerOwner(key)), before + amount, "a juror's owner");
        refuseJuror(disputeId, vm.addr(key));
    }

    function refuseJuror(uint256 disputeId, address juror) internal {
        vm.expectRevert(abi.encodeWithSelector(IDisputes.NoJurorReward.selector, disputeId, juror));
        disputes.payJurors(disputeId, one(juror));
    }

    function test_not_guilty_costs_the_bond() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        voteAll(disputeId, 1, 6);
        vm.expectEmit(address(disputes));
        emit IDisputes.DisputeClosed(disputeId, Phase.NotGuilty, 0, 0, 0, BOND / 2 / 6);
        disputes.closeDispute(disputeId);
        assertPhase(disputeId, Phase.NotGuilty, "not guilty");
        vm.assertTrue(staking.nodeInfo(node).active, "untouched");
        (uint256 reporters,) = disputes.creditOf(REPORTER);
        vm.assertEq(reporters, 0, "the loser pays");
        uint256 each = BOND / 2 / 6;
        (uint256 accuseds, uint256 rewards) = disputes.creditOf(OWNER);
        vm.assertEq(accuseds, BOND - 6 * each, "half to whom was accused");
        vm.assertEq(rewards, 0, "nothing was slashed");
        uint256[] memory keys = jurorKeys(disputeId);
        refuseJuror(disputeId, vm.addr(keys[0]));
        for (uint256 i = 1; i < 7; ++i) {
            assertJurorPaid(disputeId, keys[i], each);
        }
        disputes.payCredit(OWNER);
        vm.assertEq(token.balanceOf(address(disputes)), 0, "nothing is kept");
    }

    function test_nobody_is_tried_twice() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        voteAll(disputeId, 0, 7);
        disputes.closeDispute(disputeId);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.AlreadyDisputed.selector, disputeId));
        open(Fault.FalseResult);
    }

    function test_the_penalty_goes_by_the_fault() public {
        convict(Fault.CarelessResult, 100, 0);
        convict(Fault.WithheldOpening, 1_000, vm.getBlockTimestamp() + 1 days);
        convict(Fault.FalseResult, 10_000, JAIL_FOREVER);
    }

    function convict(Fault fault, uint256 fraction, uint256 jailedUntil) internal {
        uint256 before = staking.nodeInfo(node).totalStake;
        uint256 disputeId = reopen(fault);
        voteAll(disputeId, 7, 0);
        disputes.closeDispute(disputeId);
        NodeInfo memory info = staking.nodeInfo(node);
        vm.assertEq(info.totalStake, before - before * fraction / 10_000, "fraction");
        vm.assertEq(info.jailedUntil, jailedUntil, "jail");
    }

    /// @dev About another task, so that it is not the same trial.
    function reopen(Fault fault) internal returns (uint256 disputeId) {
        bytes32 task = keccak256(abi.encode(fault));
        vm.prank(REPORTER);
        disputeId = disputes.openDispute(accusationAbout(fault, task));
        draw(disputeId, task);
    }

    function test_less_than_a_quorum_decides_nothing() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        voteAll(disputeId, 3, 0);
        uint256 deadline = disputes.disputeOf(disputeId).deadline;
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.NotOver.selector, deadline));
        disputes.closeDispute(disputeId);
        vm.warp(deadline + 1);
        disputes.closeDispute(disputeId);
        assertPhase(disputeId, Phase.NoVerdict, "three of seven");
        (uint256 held,) = disputes.creditOf(REPORTER);
        vm.assertEq(held, BOND / 2, "half of it is lost");
        address juror = vm.addr(jurorKeys(disputeId)[0]);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.WrongPhase.selector, disputeId, Phase.NoVerdict));
        disputes.payJurors(disputeId, one(juror));
    }

    function test_a_quorum_decides_by_the_votes_cast() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        voteAll(disputeId, 3, 1);
        pass();
        disputes.closeDispute(disputeId);
        assertPhase(disputeId, Phase.Guilty, "three of four votes");
    }

    function test_a_tie_decides_nothing() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        voteAll(disputeId, 2, 2);
        pass();
        disputes.closeDispute(disputeId);
        assertPhase(disputeId, Phase.NoVerdict, "two and two");
    }

    function test_votes_come_one_by_one_or_in_batches_and_the_first_counts() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        uint256[] memory keys = jurorKeys(disputeId);
        Ballot[] memory ballots = new Ballot[](1);
        ballots[0] = ballot(disputeId, keys[0], true);
        vm.expectEmit(address(disputes));
        emit IDisputes.Voted(disputeId, vm.addr(keys[0]), true);
        disputes.vote(disputeId, ballots);
        ballots = new Ballot[](3);
        ballots[0] = ballot(disputeId, keys[0], false);
        ballots[1] = ballot(disputeId, keys[3], false);
        ballots[2] = ballot(disputeId, keys[3], true);
        disputes.vote(disputeId, ballots);
        Dispute memory dispute = disputes.disputeOf(disputeId);
        vm.assertEq(dispute.voted, 9, "the first and the fourth");
        vm.assertEq(dispute.votedGuilty, 1, "the first, as it voted first");
    }

    function test_only_jurors_vote() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        Ballot[] memory ballots = new Ballot[](1);
        ballots[0] = ballot(disputeId, NODE_KEY, false);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.NotAJuror.selector, disputeId, node));
        disputes.vote(disputeId, ballots);
        ballots[0] = ballot(disputeId, 0xDEAD, false);
        vm.expectPartialRevert(INodeRegistry.NotRegistered.selector);
        disputes.vote(disputeId, ballots);
        // A vote says about which dispute, and what.
        ballots[0] = ballot(disputeId + 1, jurorKeys(disputeId)[0], true);
        vm.expectPartialRevert(INodeRegistry.NotRegistered.selector);
        disputes.vote(disputeId, ballots);
        ballots[0] = ballot(disputeId, jurorKeys(disputeId)[0], true);
        ballots[0].guilty = false;
        vm.expectPartialRevert(INodeRegistry.NotRegistered.selector);
        disputes.vote(disputeId, ballots);
    }

    function test_replay_of_a_vote_on_another_chain() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        Ballot[] memory ballots = new Ballot[](1);
        ballots[0] = ballot(disputeId, jurorKeys(disputeId)[0], true);
        vm.chainId(424_242);
        vm.expectPartialRevert(INodeRegistry.NotRegistered.selector);
        disputes.vote(disputeId, ballots);
    }

    function test_votes_after_the_time_do_not_count() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        Ballot[] memory ballots = new Ballot[](1);
        ballots[0] = ballot(disputeId, jurorKeys(disputeId)[0], true);
        uint256 deadline = disputes.disputeOf(disputeId).deadline;
        vm.warp(deadline);
        disputes.vote(disputeId, ballots);
        vm.warp(deadline + 1);
        ballots[0] = ballot(disputeId, jurorKeys(disputeId)[1], true);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.Over.selector, deadline));
        disputes.vote(disputeId, ballots);
    }

    function test_absent_jurors_lose_a_little_once() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        voteAll(disputeId, 5, 0);
        uint256[] memory keys = jurorKeys(disputeId);
        address[] memory jurors = new address[](3);
        (jurors[0], jurors[1], jurors[2]) = (vm.addr(keys[4]), vm.addr(keys[5]), vm.addr(keys[6]));
        vm.expectRevert(abi.encodeWithSelector(IDisputes.WrongPhase.selector, disputeId, Phase.Voting));
        disputes.punishAbsent(disputeId, jurors);
        pass();
        disputes.closeDispute(disputeId);

        uint256[3] memory before;
        for (uint256 i = 0; i < 3; ++i) {
            before[i] = staking.nodeInfo(jurors[i]).totalStake;
        }
        uint256 balance = token.balanceOf(ANN);
        vm.prank(ANN);
        disputes.punishAbsent(disputeId, jurors);
        vm.assertEq(staking.nodeInfo(jurors[0]).totalStake, before[0], "voted");
        uint256 lost = 0;
        for (uint256 i = 1; i < 3; ++i) {
            NodeInfo memory info = staking.nodeInfo(jurors[i]);
            vm.assertEq(info.totalStake, before[i] - before[i] / 1_000, "a thousandth");
            vm.assertEq(info.jailedUntil, 0, "not jailed");
            lost += before[i] / 1_000;
        }
        vm.assertEq(token.balanceOf(ANN), balance + lost / 10, "a tenth of it to who says so");
        vm.prank(ANN);
        disputes.punishAbsent(disputeId, jurors);
        vm.assertEq(token.balanceOf(ANN), balance + lost / 10, "once");
    }

    function test_a_single_juror_is_punished_for_its_absence() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        voteAll(disputeId, 6, 0);
        pass();
        disputes.closeDispute(disputeId);
        address absent = vm.addr(jurorKeys(disputeId)[6]);
        uint256 before = staking.nodeInfo(absent).totalStake;
        disputes.punishAbsent(disputeId, one(absent));
        vm.assertEq(staking.nodeInfo(absent).totalStake, before - before / 1_000, "a thousandth");
    }

    function test_a_dispute_without_votes_gives_back_half_of_the_bond_and_says_so() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        pass();
        vm.expectEmit(address(disputes));
        emit IDisputes.DisputeClosed(disputeId, Phase.NoVerdict, 0, BOND / 2, 0, 0);
        disputes.closeDispute(disputeId);
        assertPhase(disputeId, Phase.NoVerdict, "none");
    }

    function convict(bytes32 task) internal returns (uint256 rewards) {
        uint256 disputeId = open(accusationAbout(Fault.WithheldOpening, task));
        draw(disputeId, task);
        voteAll(disputeId, 7, 0);
        (, uint256 before) = disputes.creditOf(REPORTER);
        disputes.closeDispute(disputeId);
        (, rewards) = disputes.creditOf(REPORTER);
        rewards -= before;
    }

    function test_what_several_disputes_bring_adds_up() public {
        uint256 first = convict("first");
        uint256 second = convict("second");
        (uint256 held, uint256 rewards) = disputes.creditOf(REPORTER);
        vm.assertEq(held, 2 * BOND, "both bonds");
        vm.assertEq(rewards, first + second, "both rewards");
        vm.assertTrue(first != 0 && second != 0, "of what was taken each time");
    }

    function takeOutAllBut(address node_, uint256 amount) internal {
        address owner = staking.ownerOf(node_);
        vm.startPrank(owner);
        uint256 shares = staking.sharesOf(node_, owner) - amount * 1e3;
        uint256 requestId = staking.unvote(node_, shares);
        passUnbonding();
        staking.withdraw(node_, requestId);
        vm.stopPrank();
    }

    function test_a_reward_of_one_wei_is_paid() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        voteAll(disputeId, 6, 0);
        pass();
        disputes.closeDispute(disputeId);
        address absent = vm.addr(jurorKeys(disputeId)[6]);
        takeOutAllBut(absent, 10_000);
        uint256 before = token.balanceOf(ANN);
        vm.prank(ANN);
        disputes.punishAbsent(disputeId, one(absent));
        vm.assertEq(token.balanceOf(ANN), before + 1, "a tenth of a thousandth");
    }

    function test_a_reporters_reward_of_one_wei_is_paid() public {
        takeOutAllBut(node, 5);
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        voteAll(disputeId, 7, 0);
        disputes.closeDispute(disputeId);
        uint256 before = token.balanceOf(REPORTER);
        disputes.payCredit(REPORTER);
        vm.assertEq(token.balanceOf(REPORTER), before + BOND + 1, "a fifth of five, which jurors cannot share");
    }

    function test_a_juror_who_was_jailed_meanwhile_breaks_nothing() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        voteAll(disputeId, 6, 0);
        uint256[] memory keys = jurorKeys(disputeId);
        for (uint256 i = 0; i < 7; ++i) {
            vm.prank(address(slashing));
            staking.slash(vm.addr(keys[i]), 10_000, 0, JAIL_FOREVER);
        }
        pass();
        disputes.closeDispute(disputeId);
        assertPhase(disputeId, Phase.Guilty, "the votes stand");
        assertJurorPaid(disputeId, keys[0], MINER_STAKE / 10 / 6);
        disputes.punishAbsent(disputeId, one(vm.addr(keys[6])));
    }

    function test_convicting_never_reverts_whatever_is_left_of_the_accused() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        voteAll(disputeId, 7, 0);
        vm.prank(address(slashing));
        staking.slash(node, 10_000, 0, JAIL_FOREVER);
        disputes.closeDispute(disputeId);
        assertPhase(disputeId, Phase.Guilty, "guilty all the same");
        vm.assertEq(disputes.payCredit(REPORTER), BOND, "the bond comes back");
        refuseJuror(disputeId, vm.addr(jurorKeys(disputeId)[0]));
    }

    function test_bounds_of_batches_and_phases() public {
        uint256 disputeId = open(Fault.FalseResult);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.WrongPhase.selector, disputeId, Phase.Drawing));
        disputes.vote(disputeId, new Ballot[](1));
        draw(disputeId, keccak256("seed"));
        bytes4 selector = IDisputes.BatchOutOfBounds.selector;
        vm.expectRevert(abi.encodeWithSelector(selector, 8, 7));
        disputes.vote(disputeId, new Ballot[](8));
        vm.expectRevert(abi.encodeWithSelector(selector, 0, 7));
        disputes.vote(disputeId, new Ballot[](0));
        vm.expectRevert(abi.encodeWithSelector(selector, 8, 7));
        disputes.payJurors(disputeId, new address[](8));
        vm.expectRevert(abi.encodeWithSelector(selector, 8, 7));
        disputes.punishAbsent(disputeId, new address[](8));
        vm.expectRevert(abi.encodeWithSelector(IDisputes.WrongPhase.selector, disputeId, Phase.Voting));
        disputes.drawJurors(disputeId);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.WrongPhase.selector, disputeId, Phase.Voting));
        disputes.payJurors(disputeId, one(node));
        voteAll(disputeId, 7, 0);
        disputes.closeDispute(disputeId);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.WrongPhase.selector, disputeId, Phase.Guilty));
        disputes.closeDispute(disputeId);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.WrongPhase.selector, 99, Phase.None));
        disputes.closeDispute(99);
    }
}

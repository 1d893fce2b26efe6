// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {JuryFixture} from "./JuryFixture.sol";
import {Accusation, Ballot, Fault, IDisputes, Phase} from "../src/interfaces/IDisputes.sol";
import {NodeInfo} from "../src/interfaces/IStaking.sol";

/// @notice What somebody tried to gain by disputes, and that it costs instead.
contract DisputesAttacksTest is JuryFixture {
    function honestStake() internal view returns (uint256 sum) {
        for (uint256 i = 0; i < peerKeys.length; ++i) {
            sum += staking.nodeInfo(vm.addr(peerKeys[i])).totalStake;
        }
    }

    /// @dev Accuse of what never was, let nobody come, and punish those who did not: twenty at a time.
    function test_farming_absent_jurors_costs_the_attacker() public {
        uint256 money = token.balanceOf(REPORTER);
        uint256 honest = honestStake();
        uint256 supply = token.totalSupply();
        uint256[] memory ids = new uint256[](20);
        for (uint256 i = 0; i < 20; ++i) {
            ids[i] = open(accusationAbout(Fault.FalseResult, bytes32(i + 1)));
            draw(ids[i], keccak256(abi.encode(i)));
        }
        uint256[] memory keys = jurorKeys(ids[0]);
        pass();
        for (uint256 i = 0; i < 20; ++i) {
            disputes.closeDispute(ids[i]);
        }
        address[] memory jurors = new address[](keys.length);
        for (uint256 i = 0; i < keys.length; ++i) {
            jurors[i] = vm.addr(keys[i]);
        }
        vm.expectRevert(abi.encodeWithSelector(IDisputes.WrongPhase.selector, ids[0], Phase.NoVerdict));
        vm.prank(REPORTER);
        disputes.punishAbsent(ids[0], jurors);
        disputes.payCredit(REPORTER);
        vm.assertEq(honestStake(), honest, "nobody honest has lost a wei");
        vm.assertEq(token.balanceOf(REPORTER), money - 20 * 500 ether, "half of each bond is lost");
        vm.assertEq(token.totalSupply(), supply - 20 * 500 ether, "and burned");
        vm.assertEq(token.balanceOf(address(disputes)), 0, "nothing is kept");
    }

    /// @dev The miner and its owner, with all that they have.
    function wealth() internal view returns (uint256) {
        NodeInfo memory info = staking.nodeInfo(node);
        (uint256 held, uint256 rewards) = disputes.creditOf(OWNER);
        return token.balanceOf(OWNER) + info.totalStake + info.unbondingStake + held + rewards;
    }

    function accuseOneself(Fault fault, bytes32 evidenceHash, uint256 committedAt)
        internal
        returns (uint256 disputeId)
    {
        Accusation memory said = accusation(fault);
        said.evidenceHash = evidenceHash;
        said.committedAt = committedAt;
        said.reporterNode = node;
        vm.startPrank(OWNER);
        token.approve(address(disputes), BOND);
        disputeId = disputes.openDispute(said);
        vm.stopPrank();
    }

    function decide(uint256 disputeId, bool guilty) internal {
        draw(disputeId, keccak256(abi.encode(disputeId)));
        voteAll(disputeId, guilty ? 7 : 0, guilty ? 0 : 7);
        disputes.closeDispute(disputeId);
    }

    function assertStillConvicted(uint256 before) internal {
        decide(open(Fault.FalseResult), true);
        vm.assertEq(staking.nodeInfo(node).totalStake, 0, "all of the stake");
        vm.assertLe(wealth() + MINER_STAKE * 998 / 1000, before, "and the accused has gained nothing");
    }

    function test_a_sham_accusation_of_oneself_bars_nothing() public {
        uint256 before = wealth();
        decide(accuseOneself(Fault.FalseResult, keccak256("shows nothing"), vm.getBlockTimestamp()), false);
        assertStillConvicted(before);
    }

    function test_the_evidence_with_another_time_bars_nothing() public {
        uint256 before = wealth();
        decide(accuseOneself(Fault.FalseResult, EVIDENCE_HASH, vm.getBlockTimestamp() - 1), false);
        assertStillConvicted(before);
    }

    function test_a_sham_that_is_still_open_bars_nothing() public {
        uint256 before = wealth();
        accuseOneself(Fault.FalseResult, keccak256("shows nothing"), vm.getBlockTimestamp());
        assertStillConvicted(before);
    }

    function test_a_lesser_fault_bars_no_graver_one() public {
        uint256 before = wealth();
        decide(accuseOneself(Fault.CarelessResult, EVIDENCE_HASH, vm.getBlockTimestamp()), true);
        assertStillConvicted(before);
    }

    function test_what_was_shown_in_vain_is_not_tried_again() public {
        uint256 disputeId = open(Fault.FalseResult);
        decide(disputeId, false);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.AlreadyDisputed.selector, disputeId));
        open(Fault.FalseResult);
    }

    /// @dev Two have shown it, each in its own way; both juries convict.
    function test_one_fault_costs_once_however_often_it_is_shown() public {
        Accusation memory other = accusation(Fault.WithheldOpening);
        other.evidenceHash = keccak256("seen otherwise");
        uint256 first = open(Fault.WithheldOpening);
        uint256 second = open(other);
        draw(second, keccak256("second"));
        draw(first, keccak256("first"));
        voteAll(first, 7, 0);
        voteAll(second, 7, 0);
        disputes.closeDispute(first);
        vm.assertEq(disputes.convictionOf(disputes.chargeOf(node, TASK, Fault.WithheldOpening)), first, "by");
        uint256 left = staking.nodeInfo(node).totalStake;
        (uint256 held,) = disputes.creditOf(REPORTER);
        disputes.closeDispute(second);
        assertPhase(second, Phase.NoVerdict, "it was known");
        vm.assertEq(staking.nodeInfo(node).totalStake, left, "once");
        (uint256 after_,) = disputes.creditOf(REPORTER);
        vm.assertEq(after_, held + BOND, "the bond comes back");
        vm.expectRevert(abi.encodeWithSelector(IDisputes.AlreadyDisputed.selector, first));
        open(accusation(Fault.WithheldOpening));
        other.evidenceHash = keccak256("a third way");
        vm.expectRevert(abi.encodeWithSelector(IDisputes.AlreadyDisputed.selector, first));
        open(other);
    }

    function test_a_jury_that_cannot_be_had_costs_nothing() public {
        uint256 disputeId = open(Fault.FalseResult);
        vm.warp(vm.getBlockTimestamp() + DRAW_PERIOD + 1);
        disputes.closeDispute(disputeId);
        (uint256 held,) = disputes.creditOf(REPORTER);
        vm.assertEq(held, BOND, "nobody was bothered");
    }

    function test_nobody_was_absent_where_a_tie_decides_nothing() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        voteAll(disputeId, 2, 2);
        address absent = vm.addr(jurorKeys(disputeId)[6]);
        pass();
        disputes.closeDispute(disputeId);
        (uint256 held,) = disputes.creditOf(REPORTER);
        vm.assertEq(held, BOND, "a quorum was there");
        vm.expectRevert(abi.encodeWithSelector(IDisputes.WrongPhase.selector, disputeId, Phase.NoVerdict));
        disputes.punishAbsent(disputeId, one(absent));
    }
}

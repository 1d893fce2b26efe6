// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {NetworkFixture} from "../NetworkFixture.sol";
import {DisputesHandler} from "./DisputesHandler.sol";
import {Dispute, Phase} from "../../src/interfaces/IDisputes.sol";
import {Role} from "../../src/interfaces/INodeRegistry.sol";

/// @notice What holds of bonds, verdicts and stakes after any sequence of calls.
contract DisputesInvariants is NetworkFixture {
    /// @dev So much above the minimum that small penalties leave a node active.
    uint256 internal constant NODE_STAKE = 40_000 ether;

    DisputesHandler internal handler;

    function setUp() public override {
        super.setUp();
        handler = new DisputesHandler(token, disputes, staking);
        token.transfer(handler.reporter(), 10_000_000 ether);
        for (uint256 i = 0; i < handler.nodes(); ++i) {
            address owner = i == 0 ? handler.reporter() : address(uint160(0xD00D000 + i));
            fund(owner);
            registerAs(Role.Miner, handler.nodeKey(i), owner, NODE_STAKE);
        }
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// @dev Of one dispute: its bond while it is open, and the jurors' part of it until they are paid.
    function heldFor(uint256 disputeId) internal view returns (uint256) {
        Dispute memory dispute = disputes.disputeOf(disputeId);
        if (dispute.phase == Phase.Drawing || dispute.phase == Phase.Voting) return disputes.BOND();
        if (dispute.phase != Phase.NotGuilty) return 0;
        return dispute.jurorReward * ones(dispute.voted & ~dispute.votedGuilty & ~dispute.closed);
    }

    function ones(uint256 set) internal pure returns (uint256 count) {
        for (; set != 0; set /= 2) {
            count += set % 2;
        }
    }

    function credits() internal view returns (uint256 held) {
        (held,) = disputes.creditOf(handler.reporter());
        for (uint256 i = 1; i < handler.nodes(); ++i) {
            (uint256 more,) = disputes.creditOf(staking.ownerOf(handler.node(i)));
            held += more;
        }
    }

    /// @dev One campaign for all of them, as each would make the same calls again.
    function invariant_all() external view {
        // First, since what they say of is lost stake, too.
        vm.assertTrue(!handler.punishedTwice(), "one charge by two verdicts");
        vm.assertTrue(!handler.punishedWithoutVerdict(), "absent without a verdict");
        bonds_are_conserved();
        juries_are_odd_distinct_and_without_the_parties();
        a_verdict_is_a_majority_of_a_quorum();
        nobody_loses_more_than_verdicts_and_absences_take();
    }

    function bonds_are_conserved() internal view {
        uint256 owed = credits();
        for (uint256 id = 1; id <= handler.opened(); ++id) {
            owed += heldFor(id);
        }
        vm.assertEq(
            token.balanceOf(address(disputes)), owed, "held = open bonds + unpaid parts of closed ones"
        );
    }

    function juries_are_odd_distinct_and_without_the_parties() internal view {
        for (uint256 id = 1; id <= handler.opened(); ++id) {
            Dispute memory dispute = disputes.disputeOf(id);
            uint256 count = dispute.jurorLeaves.length;
            vm.assertTrue(count == 0 || count == 3 || count == 5 || count == 7, "odd");
            for (uint256 i = 0; i < count; ++i) {
                vm.assertTrue(dispute.jurorLeaves[i] != staking.leafOf(dispute.accused), "not the accused");
                bool reporters = handler.namesReportersNode(id)
                    && dispute.jurorLeaves[i] == staking.leafOf(handler.reporterNode());
                vm.assertTrue(!reporters, "not the reporter's node");
                for (uint256 j = 0; j < i; ++j) {
                    vm.assertTrue(dispute.jurorLeaves[i] != dispute.jurorLeaves[j], "distinct");
                }
            }
            uint256 all = (1 << count) - 1;
            vm.assertEq((dispute.voted | dispute.closed) & ~all, 0, "bits of jurors only");
            vm.assertEq(dispute.votedGuilty & ~dispute.voted, 0, "votes for guilty are votes");
        }
    }

    function a_verdict_is_a_majority_of_a_quorum() internal view {
        for (uint256 id = 1; id <= handler.opened(); ++id) {
            Dispute memory dispute = disputes.disputeOf(id);
            if (dispute.phase != Phase.Guilty && dispute.phase != Phase.NotGuilty) continue;
            uint256 votes = ones(dispute.voted);
            uint256 guilty = ones(dispute.votedGuilty);
            vm.assertTrue(2 * votes > dispute.jurorLeaves.length, "quorum");
            vm.assertTrue(dispute.phase == Phase.Guilty ? 2 * guilty > votes : 2 * guilty < votes, "majority");
        }
    }

    function nobody_loses_more_than_verdicts_and_absences_take() internal view {
        for (uint256 i = 0; i < handler.nodes(); ++i) {
            address node_ = handler.node(i);
            vm.assertLe(handler.lost(node_), handler.mayLose(node_), "lost");
            vm.assertEq(handler.slashable(node_) + handler.lost(node_), NODE_STAKE, "by nothing else");
        }
    }

    /// @dev Whatever has happened, time alone and anybody end every dispute, and everything is paid.
    function afterInvariant() external {
        vm.warp(vm.getBlockTimestamp() + DRAW_PERIOD + VOTE_PERIOD + 1);
        for (uint256 id = 1; id <= handler.opened(); ++id) {
            handler.closeOne(id);
            Phase phase = handler.phaseOf(id);
            vm.assertTrue(phase != Phase.Drawing && phase != Phase.Voting, "no dispute is stuck");
            if (phase == Phase.Guilty || phase == Phase.NotGuilty) payAll(id, phase);
        }
        for (uint256 i = 0; i < handler.nodes(); ++i) {
            address account = staking.ownerOf(handler.node(i));
            (uint256 held, uint256 rewards) = disputes.creditOf(account);
            if (held + rewards != 0) disputes.payCredit(account);
        }
        vm.assertEq(token.balanceOf(address(disputes)), 0, "nothing is kept");
    }

    function payAll(uint256 disputeId, Phase phase) internal {
        Dispute memory dispute = disputes.disputeOf(disputeId);
        uint256 majority = phase == Phase.Guilty ? dispute.votedGuilty : dispute.voted & ~dispute.votedGuilty;
        for (uint256 i = 0; i < handler.nodes(); ++i) {
            address[] memory jurors = new address[](1);
            jurors[0] = handler.node(i);
            for (uint256 j = 0; j < dispute.jurorLeaves.length; ++j) {
                if (staking.leafOf(jurors[0]) != dispute.jurorLeaves[j]) continue;
                bool unpaid = (majority & ~dispute.closed) >> j & 1 == 1;
                if (unpaid && dispute.jurorReward != 0) disputes.payJurors(disputeId, jurors);
            }
        }
    }
}

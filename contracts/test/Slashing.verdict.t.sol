// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Plan, TraceFixture} from "./TraceFixture.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";
import {Faults} from "../src/libraries/Faults.sol";
import {SignedTask} from "../src/libraries/SignedTask.sol";

/// @notice An auditor that finds a number false which is right.
contract SlashingVerdictTest is TraceFixture {
    uint256 internal constant AUDITOR_KEY = 0xA0D17;
    uint256 internal constant SCHEDULER_STEP = 5;
    uint256 internal constant INITIAL_LATENT = 4;

    /// @dev What a verdict says.
    struct Said {
        uint256 outcome;
        uint256 reason;
        uint256 step;
        uint256 number;
        bytes32 commitment;
        bool placed;
    }

    function said(Plan memory p) internal view returns (Said memory v) {
        (v.outcome, v.reason, v.step, v.number, v.placed) = (1, SCHEDULER_STEP, p.step, p.number, true);
        bytes memory body = bodyOfCommitment();
        v.commitment = slashing.statementDigest(4, taskId(), keccak256(body));
    }

    function taskId() internal view returns (bytes32) {
        return digestOfAnnouncement(shown.announcement);
    }

    /// @dev Behind the four bytes and the head of the length, before the signature and its head.
    function bodyOfCommitment() internal view returns (bytes memory) {
        return slice(shown.commitment, 5, shown.commitment.length - 67);
    }

    function slotOf() internal view returns (bytes32) {
        return keccak256(abi.encode(taskId(), node));
    }

    function verdictOf(Said memory v) internal view returns (bytes memory) {
        bytes memory checked =
            bytes.concat(head(4, 1), head(4, 2), unsigned(v.step), byteString(new bytes(16)));
        bytes memory place = bytes.concat(head(4, 3), unsigned(v.step), unsigned(0), unsigned(v.number));
        place = v.placed ? bytes.concat(head(4, 1), place) : head(4, 0);
        bytes memory body = bytes.concat(head(4, 9), word(taskId()), byteString(abi.encodePacked(node)));
        body = bytes.concat(body, word(v.commitment), unsigned(v.outcome), unsigned(v.reason));
        body = bytes.concat(body, checked, unsigned(77), place, word("bundle"));
        return envelope(5, slotOf(), body, AUDITOR_KEY);
    }

    function falseVerdict(Said memory v, bytes memory refuted) internal view returns (bytes memory) {
        return bytes.concat(head(4, 3), unsigned(10), byteString(verdictOf(v)), byteString(refuted));
    }

    function requireRefused(bytes memory proof, bytes4 selector) internal {
        vm.expectPartialRevert(selector);
        slashing.judgeFault(proof);
    }

    function requireProved(bytes memory proof) internal view {
        (uint8 fault, address signer, bytes32 slot) = slashing.judgeFault(proof);
        vm.assertEq(uint256(fault), 10, "a false verdict");
        vm.assertEq(signer, vm.addr(AUDITOR_KEY), "of the auditor");
        vm.assertEq(slot, slotOf(), "on this work");
    }

    function test_a_verdict_is_false_if_the_number_is_right() public {
        for (uint256 i = 0; i < 2; ++i) {
            Plan memory p = plan();
            (p.off, p.twoSteps) = (0, i == 1);
            showStep(p);
            requireProved(falseVerdict(said(p), falseStep(p)));
            p.off = 1;
            showStep(p);
            requireRefused(falseVerdict(said(p), falseStep(p)), Faults.VerdictIsRight.selector);
        }
    }

    function test_so_is_one_on_the_start() public {
        string memory json = vm.readFile("test/fixtures/quantiles.json");
        uint256 quantile = uint32(bytes4(slice(vm.parseJsonBytes(json, ".quantiles"), 0, 4)));
        bytes memory quantiles = slice(vm.parseJsonBytes(json, ".proofs"), 0, 448);
        Plan memory p = plan();
        (p.seed, p.number, p.off) = (0, 0, 0);
        showStart(p, quantile);
        Said memory v = said(p);
        requireRefused(falseVerdict(v, falseStart(p, quantiles)), Faults.NotOnThisNumber.selector);
        v.reason = INITIAL_LATENT;
        requireProved(falseVerdict(v, falseStart(p, quantiles)));
        p.off = 1;
        showStart(p, quantile);
        v = said(p);
        v.reason = INITIAL_LATENT;
        requireRefused(falseVerdict(v, falseStart(p, quantiles)), Faults.VerdictIsRight.selector);
    }

    function test_a_false_verdict_takes_the_auditors_stake() public {
        registerAs(Role.Miner, AUDITOR_KEY, OWNER, MINER_STAKE);
        Plan memory p = plan();
        p.off = 0;
        showStep(p);
        slashing.proveFault(falseVerdict(said(p), falseStep(p)));
        vm.assertEq(staking.nodeInfo(vm.addr(AUDITOR_KEY)).totalStake, 0, "nothing is left");
    }

    function test_attack_a_verdict_on_another_number_step_or_work() public {
        Plan memory p = plan();
        (p.off, p.whole) = (0, true);
        showStep(p);
        bytes memory refuted = falseStep(p);
        Said memory v = said(p);
        v.number = 101;
        requireRefused(falseVerdict(v, refuted), Faults.NotOnThisNumber.selector);
        (v.number, v.step) = (100, 9);
        requireRefused(falseVerdict(v, refuted), Faults.NotOnThisNumber.selector);
        (v.step, v.commitment) = (8, "another");
        requireRefused(falseVerdict(v, refuted), Faults.NotOnThisCommitment.selector);
        v = said(p);
        v.reason = INITIAL_LATENT;
        requireRefused(falseVerdict(v, refuted), Faults.NotOnThisNumber.selector);
    }

    function test_attack_a_verdict_that_finds_no_number_false() public {
        Plan memory p = plan();
        p.off = 0;
        showStep(p);
        bytes memory refuted = falseStep(p);
        for (uint256 outcome = 0; outcome < 3; ++outcome) {
            Said memory v = said(p);
            (v.outcome, v.placed) = (outcome, outcome != 1);
            requireRefused(falseVerdict(v, refuted), SignedTask.NotAFinding.selector);
        }
    }

    function test_attack_evidence_of_which_one_bit_is_altered() public {
        Plan memory p = plan();
        (p.units, p.schedule, p.stepsMax, p.step, p.off) = (5, 5, 5, 2, 0);
        (p.places, p.addressBytes, p.whole) = (1, 0, true);
        showStep(p);
        bytes memory verdict = verdictOf(said(p));
        bytes memory refuted = falseStep(p);
        bytes memory start = bytes.concat(head(4, 3), unsigned(10), byteString(verdict));
        bytes memory proof = bytes.concat(start, byteString(refuted));
        requireProved(proof);
        // Of the verdict, whose signer is whoever has signed it, only what is compared.
        for (uint256 i = start.length; i < proof.length; ++i) {
            bytes1 right = proof[i];
            proof[i] = right ^ bytes1(uint8(1 << (i % 8)));
            (bool proved,) = address(slashing).staticcall(abi.encodeCall(slashing.judgeFault, (proof)));
            vm.assertTrue(!proved, "refused");
            proof[i] = right;
        }
    }
}

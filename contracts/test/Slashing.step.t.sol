// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Plan, TraceFixture} from "./TraceFixture.sol";
import {ISlashing} from "../src/interfaces/ISlashing.sol";
import {JAIL_FOREVER} from "../src/interfaces/IStaking.sol";
import {CanonicalCbor} from "../src/libraries/CanonicalCbor.sol";
import {CommittedTrace} from "../src/libraries/CommittedTrace.sol";
import {Faults} from "../src/libraries/Faults.sol";
import {LatentRules} from "../src/libraries/LatentRules.sol";
import {Sha256Tree} from "../src/libraries/Sha256Tree.sol";
import {SignedTask} from "../src/libraries/SignedTask.sol";

/// @notice A step of the scheduler that is false in one number, and all that proves nothing.
contract SlashingStepTest is TraceFixture {
    function setUp() public override {
        super.setUp();
        registerMiner();
    }

    function evidence(Plan memory p) internal returns (bytes memory) {
        showStep(p);
        return falseStep(p);
    }

    function requireProved(bytes memory proof) internal view {
        (uint8 fault, address signer, bytes32 slot) = slashing.judgeFault(proof);
        vm.assertEq(uint256(fault), 5, "a false step");
        vm.assertEq(signer, node, "of the miner");
        vm.assertEq(slot, digestOfAnnouncement(shown.announcement), "in this task");
    }

    function requireRefused(bytes memory proof, bytes4 selector) internal {
        vm.expectPartialRevert(selector);
        slashing.judgeFault(proof);
    }

    function test_a_false_step_takes_the_whole_stake_and_rewards_who_proves_it() public {
        bytes memory proof = evidence(plan());
        bytes32 task = digestOfAnnouncement(shown.announcement);
        uint256 reward = MINER_STAKE / 10 / 1e12 * 1e12;
        vm.expectEmit(address(slashing));
        emit ISlashing.FaultProved(node, 5, task, REPORTER, reward);
        vm.prank(REPORTER);
        slashing.proveFault(proof);
        vm.assertEq(staking.nodeInfo(node).totalStake, 0, "nothing is left");
        vm.assertTrue(staking.nodeInfo(node).jailedUntil == JAIL_FOREVER, "jailed");
        vm.roll(vm.getBlockNumber() + slashing.PRIORITY_BLOCKS() + 1);
        vm.assertEq(slashing.claimReward(slashing.offenceKeyOf(5, node, task)), reward, "paid");
        vm.assertEq(token.balanceOf(REPORTER), reward, "received");
    }

    function test_a_false_step_counts_once_in_a_task_wherever_it_is_shown() public {
        bytes memory proof = evidence(plan());
        slashing.proveFault(proof);
        bytes32 task = digestOfAnnouncement(shown.announcement);
        vm.expectRevert(abi.encodeWithSelector(ISlashing.OffenceSpent.selector, 5, node, task));
        slashing.proveFault(proof);
    }

    /// forge-config: default.fuzz.runs = 32
    /// @dev Whatever the shape of the task: only a number that the scheduler does not give is false.
    function test_a_number_is_false_unless_it_is_the_schedulers(Plan memory p) public {
        drawPlan(p);
        p.off = 0;
        bytes memory honest = evidence(p);
        requireRefused(honest, Faults.NumberIsRight.selector);
        p.off = 1;
        requireProved(evidence(p));
    }

    function drawPlan(Plan memory p) internal pure {
        p.kind = bound(p.kind, 0, 1);
        p.stepsMax = bound(p.stepsMax, 1, 12);
        p.schedule = bound(p.schedule, 1, p.stepsMax);
        p.units = p.kind == 0 ? p.schedule : bound(p.units, 1, p.schedule);
        p.step = bound(p.step, 0, p.units - 1);
        p.channels = bound(p.channels, 1, 5);
        p.factor = bound(p.factor, 1, 9);
        p.width = p.factor * bound(p.width, 1, 12);
        p.height = p.factor * bound(p.height, 1, 12);
        p.number = bound(p.number, 0, sizeOf(p) - 1);
        p.seed = bound(p.seed, 0, type(uint64).max);
        p.guidanceMilli = bound(p.guidanceMilli, 0, 30_000);
        p.places = bound(p.places, 1, 64);
        p.addressBytes = bound(p.addressBytes, 0, 1024);
        (p.whole, p.otherRule, p.announcedHeight, p.announcedChannels) = (false, 0, 0, 0);
    }

    function test_the_first_step_has_coefficients_of_its_own() public {
        Plan memory p = plan();
        (p.step, p.off, p.twoSteps) = (0, 0, true);
        requireRefused(evidence(p), Faults.NumberIsRight.selector);
        p.off = 1;
        requireProved(evidence(p));
    }

    function test_the_last_step_leads_to_the_last_latent() public {
        Plan memory p = plan();
        p.step = 19;
        requireProved(evidence(p));
        p.off = 0;
        requireRefused(evidence(p), Faults.NumberIsRight.selector);
    }

    /// @dev The rows of a part of a schedule are its last ones.
    function test_a_part_of_a_schedule_ends_with_its_last_row() public {
        Plan memory p = plan();
        (p.kind, p.units, p.step) = (1, 12, 11);
        requireProved(evidence(p));
    }

    function test_minus_zero_is_not_false_where_zero_is_right() public {
        minusZero(false);
        minusZero(true);
    }

    function minusZero(bool twoSteps) internal {
        Plan memory p = plan();
        (p.zero, p.twoSteps, p.off) = (true, twoSteps, 0);
        vm.assertEq(nextOf(p) & 0x7fff, 0, "zero is right");
        requireRefused(evidence(p), Faults.NumberIsRight.selector);
        p.off = 0x8000;
        requireRefused(evidence(p), Faults.NumberIsRight.selector);
        p.off = 1;
        requireProved(evidence(p));
    }

    /// @dev One bit in each byte, from the first to the last: every link holds something.
    function test_attack_evidence_of_which_one_bit_is_altered() public {
        Plan memory p = plan();
        (p.units, p.schedule, p.stepsMax, p.step, p.twoSteps) = (5, 5, 5, 2, true);
        (p.places, p.addressBytes, p.whole) = (1, 0, true);
        bytes memory proof = evidence(p);
        requireProved(proof);
        requireNoByteToSpare(proof);
    }

    function test_attack_evidence_that_is_cut_or_goes_on() public {
        bytes memory proof = evidence(plan());
        requireRefused(bytes.concat(proof, hex"00"), CanonicalCbor.CborNotAtEnd.selector);
        requireRefused(slice(proof, 0, proof.length - 1), CanonicalCbor.CborTruncated.selector);
        requireRefused("", CanonicalCbor.CborTruncated.selector);
    }

    function test_attack_a_proof_that_is_shown_for_another_place() public {
        Plan memory p = plan();
        p.whole = true;
        showStep(p);
        p.number = 101;
        requireRefused(falseStep(p), Faults.NumberIsRight.selector);
        p.number = 164;
        requireRefused(falseStep(p), CommittedTrace.NotThePiece.selector);
        p.number = 256;
        requireRefused(falseStep(p), Sha256Tree.NoSuchLeaf.selector);
        (p.number, p.step) = (100, 7);
        requireRefused(falseStep(p), CommittedTrace.NotTheRow.selector);
        p.step = 20;
        requireRefused(falseStep(p), CommittedTrace.NoSuchStep.selector);
    }

    /// forge-config: default.fuzz.runs = 16
    /// @dev 64 numbers of 256 have four times as many places in a tree of another width. The size under the hash
    /// of a tensor is the one that the model and the picture have.
    function test_attack_a_tensor_of_another_width(uint256 width) public {
        Plan memory p = plan();
        p.off = 0;
        showStep(p);
        (uint256 announced, bytes memory honest) = (p.width, shown.announcement);
        p.width = 4 * bound(width, 1, 200);
        vm.assume(p.width != announced);
        requireRefused(falseStep(p), Faults.NumberIsRight.selector);
        // In a tensor of so many numbers as another picture has.
        bytes memory next = randomHalves("other", sizeOf(p));
        p.number %= sizeOf(p);
        (, shown.pieces[0]) = openTensor(next, p.number);
        (bool proved,) = address(slashing).staticcall(abi.encodeCall(ISlashing.judgeFault, (falseStep(p))));
        vm.assertTrue(!proved, "refused");
        vm.assertTrue(keccak256(shown.announcement) == keccak256(honest), "of the same task");
    }

    /// @dev A package of the accuser's: what it says of rows and sizes is not under the model that was announced.
    function test_attack_a_sham_package() public {
        Plan memory p = plan();
        p.off = 0;
        showStep(p);
        bytes memory announced = shown.model;
        p.random = "sham";
        showModel(p);
        requireRefused(falseStep(p), CommittedTrace.NotTheModel.selector);
        shown.model = announced;
        requireRefused(falseStep(p), CommittedTrace.NotTheRow.selector);
    }

    /// @dev The longest announcement that is valid, and one longer than that: both lead to the miner.
    function test_attack_a_padded_announcement_shields_nobody() public {
        Plan memory p = plan();
        (p.places, p.addressBytes) = (64, 1024);
        requireProved(evidence(p));
        (p.places, p.addressBytes) = (640, 10_240);
        bytes memory proof = evidence(p);
        slashing.proveFault(proof);
        vm.assertEq(staking.nodeInfo(node).totalStake, 0, "nothing is left");
    }

    /// @dev Of work of another kind nothing is known, and by rules of another number nothing follows.
    function test_kinds_and_rules_that_are_not_known_are_refused() public {
        Plan memory p = plan();
        p.kind = 2;
        requireRefused(evidence(p), CommittedTrace.WorkKindNotJudged.selector);
        p.kind = 0;
        for (uint256 i = 0; i < 6; ++i) {
            p.otherRule = i + 1;
            requireRefused(evidence(p), CommittedTrace.UnknownRule.selector);
        }
    }

    function test_schedules_that_no_task_has_are_refused() public {
        Plan memory p = plan();
        (p.schedule, p.step) = (21, 8);
        requireRefused(evidence(p), CommittedTrace.NoSuchSchedule.selector);
        p.kind = 1;
        requireProved(evidence(p));
        p.guidanceMilli = 30_001;
        requireRefused(evidence(p), CommittedTrace.GuidanceTooStrong.selector);
        p.guidanceMilli = 30_000;
        requireProved(evidence(p));
    }

    function test_pictures_that_are_not_a_whole_number_of_latents_are_refused() public {
        Plan memory p = plan();
        p.announcedHeight = 34;
        requireRefused(evidence(p), CommittedTrace.ImpossibleSize.selector);
        p.announcedHeight = 0;
        p.announcedChannels = 1 << 13;
        requireRefused(evidence(p), CommittedTrace.ImpossibleSize.selector);
    }

    function test_only_known_faults_are_judged() public {
        for (uint256 fault = 0; fault < 256; ++fault) {
            bool known = fault == 2 || (fault >= 5 && fault <= 10);
            bytes memory proof = bytes.concat(head(4, 3), unsigned(fault), hex"00");
            if (!known) requireRefused(proof, Faults.UnknownFault.selector);
        }
    }

    function test_another_task_than_the_commitments_is_refused() public {
        Plan memory p = plan();
        showStep(p);
        bytes memory other = shown.commitment;
        p.places = 4;
        showStep(p);
        shown.commitment = other;
        requireRefused(falseStep(p), CommittedTrace.NotOfThisTask.selector);
    }

    function test_a_statement_of_another_kind_is_refused() public {
        Plan memory p = plan();
        showStep(p);
        shown.commitment = envelope(3, "slot", hex"80", NODE_KEY);
        requireRefused(falseStep(p), SignedTask.NotTheStatement.selector);
    }

    function test_an_infinite_number_is_left_to_its_own_fault() public {
        Plan memory p = plan();
        unchecked {
            p.off = 0x7c00 - nextOf(p);
        }
        requireRefused(evidence(p), LatentRules.NotFinite.selector);
    }

    function test_whoever_committed_first_is_rewarded() public {
        Plan memory p = plan();
        bytes memory proof = evidence(p);
        bytes32 hash = keccak256(proof);
        vm.prank(REPORTER);
        slashing.commitEvidence(slashing.commitmentOf(REPORTER, hash, "salt"));
        vm.roll(vm.getBlockNumber() + 2);
        vm.prank(ANN);
        slashing.proveFault(proof);
        vm.roll(vm.getBlockNumber() + 65);
        vm.prank(BEN);
        vm.expectPartialRevert(ISlashing.NoPriority.selector);
        slashing.takeFaultPriority(proof, "salt");
        vm.prank(REPORTER);
        slashing.takeFaultPriority(proof, "salt");
        bytes32 key = slashing.offenceKeyOf(5, node, digestOfAnnouncement(shown.announcement));
        vm.assertEq(slashing.evidenceOf(key).reporter, REPORTER, "whose it is");
    }

    /// @dev A cheat commits to evidence of its own false step from a second account, and lets an auditor report it.
    function test_attack_a_cheat_takes_back_the_share_of_who_proved_its_fault() public {
        bytes memory proof = evidence(plan());
        bytes32 hash = keccak256(proof);
        vm.prank(BEN);
        slashing.commitEvidence(slashing.commitmentOf(BEN, hash, "salt"));
        vm.roll(vm.getBlockNumber() + 1);
        vm.prank(REPORTER);
        slashing.commitEvidence(slashing.commitmentOf(REPORTER, hash, "salt"));
        vm.roll(vm.getBlockNumber() + 8);
        vm.startPrank(REPORTER);
        slashing.proveFault(proof);
        slashing.takeFaultPriority(proof, "salt");
        vm.stopPrank();
        vm.roll(vm.getBlockNumber() + 65);
        vm.prank(BEN);
        vm.expectPartialRevert(ISlashing.NoPriority.selector);
        slashing.takeFaultPriority(proof, "salt");
        uint256 reward =
            slashing.claimReward(slashing.offenceKeyOf(5, node, digestOfAnnouncement(shown.announcement)));
        vm.assertTrue(reward != 0, "there is something to gain");
        vm.assertEq(token.balanceOf(REPORTER), reward, "whose it is");
    }

    function test_attack_a_commitment_to_what_is_no_evidence() public {
        Plan memory p = plan();
        bytes memory proof = evidence(p);
        bytes memory sham = bytes.concat(proof, hex"00");
        vm.prank(REPORTER);
        slashing.commitEvidence(slashing.commitmentOf(REPORTER, keccak256(sham), "salt"));
        vm.roll(vm.getBlockNumber() + 2);
        vm.prank(ANN);
        slashing.proveFault(proof);
        vm.prank(REPORTER);
        vm.expectPartialRevert(CanonicalCbor.CborNotAtEnd.selector);
        slashing.takeFaultPriority(sham, "salt");
    }
}

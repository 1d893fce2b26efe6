// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {ISlashing} from "../src/interfaces/ISlashing.sol";

/// @notice Who gets the reward if somebody copies a report: whoever had committed to the evidence before.
contract SlashingPriorityTest is Fixture {
    uint8 internal constant KIND = 3;
    bytes32 internal constant SLOT = keccak256("slot");
    bytes32 internal constant BODY_A = keccak256("body A");
    bytes32 internal constant BODY_B = keccak256("body B");
    bytes32 internal constant SALT = keccak256("salt");
    address internal constant COPYIST = address(0x3002);

    bytes internal signatureA;
    bytes internal signatureB;

    function setUp() public override {
        super.setUp();
        registerMiner();
        signatureA = signDigest(NODE_KEY, slashing.statementDigest(KIND, SLOT, BODY_A));
        signatureB = signDigest(NODE_KEY, slashing.statementDigest(KIND, SLOT, BODY_B));
    }

    function commit(address account, bytes32 salt) internal {
        bytes32 commitment = slashing.commitmentOf(account, evidenceHash(), salt);
        vm.prank(account);
        slashing.commitEvidence(commitment);
    }

    function evidenceHash() internal view returns (bytes32) {
        return slashing.evidenceHashOf(KIND, SLOT, BODY_A, signatureA, BODY_B, signatureB);
    }

    function reportAs(address account) internal {
        vm.prank(account);
        slashing.equivocation(KIND, SLOT, BODY_A, signatureA, BODY_B, signatureB);
    }

    /// @dev Past the quarter of the time that is the reporter's.
    function reportersTimeOver() internal {
        later(65);
    }

    function takeAs(address account, bytes32 salt) internal {
        vm.prank(account);
        slashing.takePriority(KIND, SLOT, BODY_A, signatureA, BODY_B, signatureB, salt);
    }

    function reporter() internal view returns (address) {
        return slashing.evidenceOf(key()).reporter;
    }

    function key() internal view returns (bytes32) {
        return slashing.evidenceKeyOf(node, KIND, SLOT);
    }

    function later(uint256 blocks) internal {
        vm.roll(vm.getBlockNumber() + blocks);
    }

    function test_a_copied_report_gains_nothing() public {
        commit(REPORTER, SALT);
        later(3);
        reportAs(COPYIST);
        reportersTimeOver();
        vm.expectEmit(address(slashing));
        emit ISlashing.PriorityTaken(key(), COPYIST, REPORTER);
        takeAs(REPORTER, SALT);
        later(257);
        uint256 reward = slashing.claimReward(key());
        vm.assertEq(token.balanceOf(REPORTER), reward, "whose it is");
        vm.assertEq(token.balanceOf(COPYIST), 0, "nothing");
    }

    /// @dev The signer itself may know a third statement, and show the same offence by it.
    function test_a_copy_by_another_piece_of_evidence_gains_nothing() public {
        commit(REPORTER, SALT);
        later(3);
        bytes32 bodyC = keccak256("body C");
        bytes memory signatureC = signDigest(NODE_KEY, slashing.statementDigest(KIND, SLOT, bodyC));
        vm.prank(COPYIST);
        slashing.equivocation(KIND, SLOT, bodyC, signatureC, BODY_A, signatureA);
        reportersTimeOver();
        takeAs(REPORTER, SALT);
        later(257);
        uint256 reward = slashing.claimReward(key());
        vm.assertTrue(reward != 0, "there is something to gain");
        vm.assertEq(token.balanceOf(REPORTER), reward, "whose it is");
        vm.assertEq(token.balanceOf(COPYIST), 0, "the copier's profit");
    }

    /// @dev A commitment says which pair, in which order, to the bit: of another one it says nothing.
    function test_a_commitment_is_to_one_piece_of_evidence() public {
        commit(REPORTER, SALT);
        later(1);
        reportAs(COPYIST);
        vm.expectPartialRevert(ISlashing.NoPriority.selector);
        vm.prank(REPORTER);
        slashing.takePriority(KIND, SLOT, BODY_B, signatureB, BODY_A, signatureA, SALT);
        bytes32 hash = evidenceHash();
        bytes32 other = slashing.evidenceHashOf(KIND + 1, SLOT, BODY_A, signatureA, BODY_B, signatureB);
        vm.assertTrue(hash != other, "kind");
        other = slashing.evidenceHashOf(KIND, BODY_A, BODY_A, signatureA, BODY_B, signatureB);
        vm.assertTrue(hash != other, "slot");
        other = slashing.evidenceHashOf(KIND, SLOT, SLOT, signatureA, BODY_B, signatureB);
        vm.assertTrue(hash != other, "first body");
        other = slashing.evidenceHashOf(KIND, SLOT, BODY_A, signatureA, SLOT, signatureB);
        vm.assertTrue(hash != other, "second body");
        other = slashing.evidenceHashOf(KIND, SLOT, BODY_A, signatureB, BODY_B, signatureB);
        vm.assertTrue(hash != other, "first signature");
        other = slashing.evidenceHashOf(KIND, SLOT, BODY_A, signatureA, BODY_B, signatureA);
        vm.assertTrue(hash != other, "second signature");
    }

    function test_a_commitment_has_to_be_older_than_the_report() public {
        commit(REPORTER, SALT);
        reportAs(COPYIST);
        uint256 now_ = vm.getBlockNumber();
        vm.expectRevert(abi.encodeWithSelector(ISlashing.NoPriority.selector, now_, now_));
        takeAs(REPORTER, SALT);
        vm.assertEq(reporter(), COPYIST, "in one block nobody was first");
    }

    function test_a_copied_commitment_is_of_no_use() public {
        bytes32 commitment = slashing.commitmentOf(REPORTER, evidenceHash(), SALT);
        vm.prank(COPYIST);
        slashing.commitEvidence(commitment);
        uint256 first = slashing.committedAt(commitment);
        later(1);
        vm.prank(REPORTER);
        slashing.commitEvidence(commitment);
        vm.assertEq(slashing.committedAt(commitment), first, "nor does it make the commitment younger");
        later(1);
        reportAs(COPYIST);
        reportersTimeOver();
        vm.expectPartialRevert(ISlashing.NoPriority.selector);
        takeAs(COPYIST, SALT);
        takeAs(REPORTER, SALT);
    }

    function test_a_commitment_holds_for_a_time() public {
        commit(REPORTER, SALT);
        uint256 committed = vm.getBlockNumber();
        later(1);
        reportAs(COPYIST);
        vm.roll(committed + 257);
        bytes memory refusal = abi.encodeWithSelector(ISlashing.NoPriority.selector, committed, committed + 1);
        vm.expectRevert(refusal);
        takeAs(REPORTER, SALT);
        vm.roll(committed + 256);
        takeAs(REPORTER, SALT);
    }

    function test_the_earliest_commitment_wins() public {
        commit(ANN, SALT);
        later(1);
        commit(REPORTER, SALT);
        later(1);
        reportAs(COPYIST);
        reportersTimeOver();
        takeAs(REPORTER, SALT);
        takeAs(ANN, SALT);
        vm.expectPartialRevert(ISlashing.NoPriority.selector);
        takeAs(REPORTER, SALT);
        vm.assertEq(reporter(), ANN, "the earliest");
    }

    function test_whoever_does_not_know_the_evidence_cannot_commit_to_it() public {
        bytes32 guess = slashing.commitmentOf(COPYIST, keccak256("a guess"), SALT);
        vm.prank(COPYIST);
        slashing.commitEvidence(guess);
        later(1);
        reportAs(REPORTER);
        vm.expectRevert(abi.encodeWithSelector(ISlashing.NoPriority.selector, 0, vm.getBlockNumber()));
        takeAs(COPYIST, SALT);
    }

    /// @dev Where no block is older than a commitment may be, 0 is still no block of one.
    function test_without_a_commitment_nobody_has_priority_in_a_chains_first_blocks() public {
        vm.roll(3);
        vm.assertTrue(!slashing.isEvidenceSpent(node, KIND, SLOT), "not yet");
        reportAs(REPORTER);
        vm.assertTrue(slashing.isEvidenceSpent(node, KIND, SLOT), "spent");
        later(1);
        vm.expectRevert(abi.encodeWithSelector(ISlashing.NoPriority.selector, 0, 3));
        takeAs(COPYIST, SALT);
    }

    function test_there_is_nothing_to_take_before_a_report_or_after_the_claim() public {
        commit(REPORTER, SALT);
        later(1);
        vm.expectRevert(abi.encodeWithSelector(ISlashing.NothingToClaim.selector, key()));
        takeAs(REPORTER, SALT);
        reportAs(COPYIST);
        later(257);
        slashing.claimReward(key());
        vm.expectPartialRevert(ISlashing.NoPriority.selector);
        takeAs(REPORTER, SALT);
    }

    function test_taking_needs_the_evidence_itself() public {
        commit(REPORTER, SALT);
        later(1);
        reportAs(COPYIST);
        vm.expectPartialRevert(ISlashing.DifferentSigners.selector);
        vm.prank(REPORTER);
        slashing.takePriority(KIND, SLOT, BODY_A, signatureB, BODY_B, signatureB, SALT);
        vm.expectRevert(abi.encodeWithSelector(ISlashing.SameStatement.selector));
        vm.prank(REPORTER);
        slashing.takePriority(KIND, SLOT, BODY_A, signatureA, BODY_A, signatureA, SALT);
    }

    /// @dev The cheat knows its offence before anybody else, and let others report it to have their reward.
    function test_attack_a_cheat_that_committed_to_its_own_offence_takes_no_reporters_reward() public {
        commit(COPYIST, SALT);
        later(3);
        commit(REPORTER, SALT);
        later(8);
        reportAs(REPORTER);
        uint256 lastBlock = vm.getBlockNumber() + 64;
        vm.expectRevert(abi.encodeWithSelector(ISlashing.PriorityOpen.selector, lastBlock));
        takeAs(COPYIST, SALT);
        later(64);
        vm.expectRevert(abi.encodeWithSelector(ISlashing.PriorityOpen.selector, lastBlock));
        takeAs(COPYIST, SALT);
        takeAs(REPORTER, SALT);
        later(1);
        vm.expectPartialRevert(ISlashing.NoPriority.selector);
        takeAs(COPYIST, SALT);
        vm.assertEq(slashing.evidenceOf(key()).since, 0, "settled");
        uint256 reward = slashing.claimReward(key());
        vm.assertTrue(reward != 0, "there is something to gain");
        vm.assertEq(token.balanceOf(REPORTER), reward, "whose it is, at once");
        vm.assertEq(token.balanceOf(COPYIST), 0, "the cheat's");
    }

    /// @dev Who had not shown its commitment in its quarter of the time loses to an older one.
    function test_a_reporter_that_does_not_show_its_commitment_is_not_safe() public {
        commit(COPYIST, SALT);
        later(1);
        commit(REPORTER, SALT);
        later(8);
        reportAs(REPORTER);
        reportersTimeOver();
        takeAs(COPYIST, SALT);
        vm.assertEq(reporter(), COPYIST, "the earliest");
    }

    /// @dev Who sees a report and holds it back for less than eight blocks cannot commit and report before it.
    function test_attack_a_commitment_shortly_before_a_copied_report_keeps_no_reward() public {
        commit(REPORTER, SALT);
        later(1);
        commit(COPYIST, SALT);
        later(7);
        reportAs(COPYIST);
        takeAs(COPYIST, SALT);
        later(64);
        takeAs(REPORTER, SALT);
        vm.assertEq(reporter(), REPORTER, "the earliest");
    }

    function test_a_kept_reward_is_claimed_at_once_in_a_chains_first_blocks_too() public {
        vm.roll(3);
        commit(REPORTER, SALT);
        later(8);
        reportAs(REPORTER);
        takeAs(REPORTER, SALT);
        uint256 reward = slashing.claimReward(key());
        vm.assertTrue(reward != 0, "there is something to gain");
        vm.assertEq(token.balanceOf(REPORTER), reward, "whose it is");
    }
}

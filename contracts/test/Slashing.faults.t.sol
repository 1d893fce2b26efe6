// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Plan, TraceFixture} from "./TraceFixture.sol";
import {CanonicalCbor} from "../src/libraries/CanonicalCbor.sol";
import {CommittedTrace} from "../src/libraries/CommittedTrace.sol";
import {Faults} from "../src/libraries/Faults.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";
import {SignedTask} from "../src/libraries/SignedTask.sol";

/// @notice Numbers that are none, tensors of the wrong shape, counts, and chains of announcements.
contract SlashingFaultsTest is TraceFixture {
    function setUp() public override {
        super.setUp();
        registerMiner();
    }

    function requireRefused(bytes memory proof, bytes4 selector) internal {
        vm.expectPartialRevert(selector);
        slashing.judgeFault(proof);
    }

    function requireProved(bytes memory proof, uint256 fault) internal view {
        (uint8 found, address signer, bytes32 slot) = slashing.judgeFault(proof);
        vm.assertEq(uint256(found), fault, "fault");
        vm.assertEq(signer, node, "of the miner");
        vm.assertEq(slot, digestOfAnnouncement(shown.announcement), "in this task");
    }

    // --- counts ---

    function count(Plan memory p, uint256 done) internal returns (bytes memory) {
        showTask(p, ABSENT, keccak256("steps"), keccak256("last"));
        shown.commitment = commitmentOf(digestOfAnnouncement(shown.announcement), keccak256("root"), done);
        bytes memory both = bytes.concat(byteString(shown.announcement), byteString(shown.commitment));
        return bytes.concat(head(4, 3), unsigned(8), both);
    }

    function test_a_count_is_false_unless_it_is_the_announced_one() public {
        uint256[6] memory counts = [uint256(0), 1, 19, 21, 255, (1 << 24) - 1];
        for (uint256 i = 0; i < counts.length; ++i) {
            requireProved(count(plan(), counts[i]), 8);
        }
        requireRefused(count(plan(), 20), Faults.CountIsRight.selector);
    }

    function test_a_false_count_takes_the_stake() public {
        slashing.proveFault(count(plan(), 19));
        vm.assertEq(staking.nodeInfo(node).totalStake, 0, "nothing is left");
    }

    /// @dev A text may end before its last unit.
    function test_a_count_of_other_work_is_not_judged() public {
        Plan memory p = plan();
        p.kind = 2;
        requireRefused(count(p, 19), CommittedTrace.WorkKindNotJudged.selector);
    }

    // --- numbers that are none ---

    /// @dev A trace with one tensor that has `half` at the plan's number.
    function showTensor(Plan memory p, uint256 part, uint256 half) internal {
        bytes memory tensor = tensorOf(p, part);
        setNumber(tensor, p.number, half);
        delete shown.pieces;
        shown.pieces.push();
        bytes32 hash;
        (hash, shown.pieces[0]) = openTensor(tensor, p.number);
        bool inLeaf = part < 3 && p.step < p.units;
        uint256[] memory indices = new uint256[](inLeaf ? 1 : 0);
        bytes[] memory leaves = new bytes[](inLeaf ? 1 : 0);
        if (inLeaf) {
            bytes32[3] memory hashes = [keccak256("x"), keccak256("u"), keccak256("c")];
            hashes[part] = hash;
            (indices[0], leaves[0]) = (p.step, abi.encodePacked(hashes[0], hashes[1], hashes[2]));
        }
        bytes32 root = showLeaves(p, indices, leaves);
        uint256 step = p.step;
        if (!inLeaf) p.step = 0;
        showTask(p, part == 3 ? hash : ABSENT, root, inLeaf ? keccak256("last") : hash);
        p.step = step;
    }

    function notFinite(Plan memory p, uint256 part) internal view returns (bytes memory) {
        bytes memory place =
            bytes.concat(unsigned(p.step), unsigned(part), unsigned(sizeOf(p)), unsigned(p.number));
        return evidenceOf(7, 10, bytes.concat(place, list(shown.leaves), byteString(shown.pieces[0])));
    }

    /// forge-config: default.fuzz.runs = 32
    function test_a_number_is_none_by_its_exponent(uint16 half, uint8 part, uint8 step) public {
        Plan memory p = plan();
        uint256 part_ = part % 4;
        p.step = part_ == 3 ? 0 : part_ == 0 ? step % 21 : step % 20;
        showTensor(p, part_, half);
        if (half & 0x7c00 == 0x7c00) requireProved(notFinite(p, part_), 7);
        else requireRefused(notFinite(p, part_), Faults.NumberIsFinite.selector);
    }

    function test_infinite_numbers_take_the_stake() public {
        Plan memory p = plan();
        showTensor(p, 0, 0xfc00);
        slashing.proveFault(notFinite(p, 0));
        vm.assertEq(staking.nodeInfo(node).totalStake, 0, "nothing is left");
    }

    /// forge-config: default.fuzz.runs = 32
    /// @dev Two bytes of a piece are no number if it has a number less, whatever an accuser says of its size.
    function test_attack_a_tensor_that_is_said_to_have_another_size(uint256 size) public {
        Plan memory p = plan();
        showTensor(p, 1, 0x7c00);
        size = bound(size, 0, 1 << 18);
        vm.assume(size != 256);
        bytes memory place = bytes.concat(unsigned(p.step), unsigned(1), unsigned(size), unsigned(p.number));
        bytes memory rest = bytes.concat(place, list(shown.leaves), byteString(shown.pieces[0]));
        (bool proved,) =
            address(slashing).staticcall(abi.encodeCall(slashing.judgeFault, (evidenceOf(7, 10, rest))));
        vm.assertTrue(!proved, "refused");
    }

    function test_tensors_that_no_trace_has_are_refused() public {
        Plan memory p = plan();
        showTensor(p, 3, 0x7c00);
        p.step = 1;
        requireRefused(notFinite(p, 3), Faults.NoSuchTensor.selector);
        requireRefused(notFinite(p, 4), CanonicalCbor.CborOutOfBounds.selector);
    }

    // --- shapes ---

    function malformed(Plan memory p, uint256 part, bytes memory tensor)
        internal
        view
        returns (bytes memory)
    {
        bytes memory where = bytes.concat(unsigned(p.step), unsigned(part), list(shown.leaves));
        bytes memory preimage = tensor.length == 0 ? head(4, 0) : bytes.concat(head(4, 1), byteString(tensor));
        return evidenceOf(9, 10, bytes.concat(termsOf(), where, preimage));
    }

    /// @dev A trace with these hashes in the leaf of the plan's step.
    function showHashes(Plan memory p, bytes32[3] memory hashes, bytes32 source) internal {
        uint256[] memory indices = new uint256[](1);
        bytes[] memory leaves = new bytes[](1);
        (indices[0], leaves[0]) = (p.step, abi.encodePacked(hashes[0], hashes[1], hashes[2]));
        showTask(p, source, showLeaves(p, indices, leaves), keccak256("last"));
    }

    /// forge-config: default.fuzz.runs = 32
    function test_an_output_without_the_prompt_is_there_if_and_only_if_there_is_guidance(uint256 milli)
        public
    {
        Plan memory p = plan();
        p.guidanceMilli = milli = milli % 4 == 0 ? 1_000 + milli / 4 % 2 : bound(milli, 0, 30_000);
        showHashes(p, [keccak256("x"), ABSENT, keccak256("c")], ABSENT);
        if (milli > 1000) requireProved(malformed(p, 1, ""), 9);
        else requireRefused(malformed(p, 1, ""), Faults.TensorIsWellFormed.selector);
        showHashes(p, [keccak256("x"), keccak256("u"), keccak256("c")], ABSENT);
        if (milli <= 1000) requireProved(malformed(p, 1, ""), 9);
        else requireRefused(malformed(p, 1, ""), Faults.TensorIsWellFormed.selector);
    }

    function test_latents_and_outputs_with_the_prompt_are_always_there() public {
        Plan memory p = plan();
        showHashes(p, [ABSENT, keccak256("u"), keccak256("c")], ABSENT);
        requireProved(malformed(p, 0, ""), 9);
        requireRefused(malformed(p, 2, ""), Faults.TensorIsWellFormed.selector);
        showHashes(p, [keccak256("x"), keccak256("u"), ABSENT], ABSENT);
        requireProved(malformed(p, 2, ""), 9);
        slashing.proveFault(malformed(p, 2, ""));
    }

    /// forge-config: default.fuzz.runs = 16
    function test_a_source_latent_is_there_if_and_only_if_there_is_a_source(bool hasSource, bool isThere)
        public
    {
        Plan memory p = plan();
        (p.kind, p.step) = (hasSource ? 1 : 0, 0);
        showHashes(p, [keccak256("x"), keccak256("u"), keccak256("c")], isThere ? keccak256("z") : ABSENT);
        delete shown.leaves;
        if (hasSource != isThere) requireProved(malformed(p, 3, ""), 9);
        else requireRefused(malformed(p, 3, ""), Faults.TensorIsWellFormed.selector);
    }

    /// forge-config: default.fuzz.runs = 32
    function test_a_tensor_of_another_size_is_false(uint32 size) public {
        Plan memory p = plan();
        if (size % 3 == 0) size = 256;
        bytes memory preimage = abi.encodePacked(size, keccak256("root of the pieces"));
        showHashes(p, [sha256(preimage), keccak256("u"), keccak256("c")], ABSENT);
        if (size != 256) requireProved(malformed(p, 0, preimage), 9);
        else requireRefused(malformed(p, 0, preimage), Faults.TensorIsWellFormed.selector);
        preimage[5] ^= 0x01;
        requireRefused(malformed(p, 0, preimage), CommittedTrace.NotThePiece.selector);
    }

    // --- chains of announcements ---

    struct Link {
        uint256 epoch;
        uint256 number;
        bytes32 previous;
        uint256 key;
    }

    function bodyOf(Link memory link, address coordinator) internal pure returns (bytes memory) {
        bytes memory place = bytes.concat(unsigned(link.epoch), unsigned(link.number), word(link.previous));
        bytes memory who = byteString(abi.encodePacked(coordinator));
        bytes memory first = bytes.concat(head(4, 14), who, place, word("model"));
        bytes memory work = bytes.concat(head(4, 3), unsigned(900), unsigned(5), byteString("unknown"));
        bytes memory times = bytes.concat(unsigned(1), unsigned(0), unsigned(2), unsigned(3));
        return bytes.concat(first, work, word("input"), times, bytes.concat(rankingOf(1), addressesOf(0), unsigned(0)));
    }

    function signed(Link memory link) internal view returns (bytes memory) {
        bytes32 slot = bytes32(link.epoch << 64 | link.number);
        return envelope(2, slot, bodyOf(link, vm.addr(link.key)), link.key);
    }

    function digestOf(Link memory link) internal view returns (bytes32) {
        bytes32 body = keccak256(bodyOf(link, vm.addr(link.key)));
        return slashing.statementDigest(2, bytes32(link.epoch << 64 | link.number), body);
    }

    function chain(Link memory earlier, Link memory later) internal view returns (bytes memory) {
        return bytes.concat(head(4, 3), unsigned(2), byteString(signed(earlier)), byteString(signed(later)));
    }

    function requireBroken(Link memory earlier, Link memory later) internal view {
        (uint8 fault, address signer, bytes32 slot) = slashing.judgeFault(chain(earlier, later));
        vm.assertEq(uint256(fault), 2, "a broken sequence");
        vm.assertEq(signer, vm.addr(later.key), "of the coordinator");
        vm.assertEq(slot, bytes32(later.epoch << 64 | later.number), "at the later");
    }

    /// forge-config: default.fuzz.runs = 32
    function test_a_number_names_the_one_before(uint32 epoch, uint32 number, bytes32 previous) public {
        Link memory earlier = Link(epoch, number, "before", TASK_COORDINATOR_KEY);
        Link memory later = Link(epoch, uint256(number) + 1, digestOf(earlier), TASK_COORDINATOR_KEY);
        requireRefused(chain(earlier, later), Faults.SequenceHolds.selector);
        later.previous = previous;
        requireBroken(earlier, later);
        later.number = uint256(number) + 2;
        requireRefused(chain(earlier, later), Faults.SequenceHolds.selector);
    }

    /// forge-config: default.fuzz.runs = 32
    function test_number_zero_names_the_last_of_the_epoch_before(uint32 epoch, uint32 number) public {
        Link memory earlier = Link(epoch, number, "before", TASK_COORDINATOR_KEY);
        Link memory later = Link(uint256(epoch) + 1, 0, "another", TASK_COORDINATOR_KEY);
        requireRefused(chain(earlier, later), Faults.SequenceHolds.selector);
        later.previous = 0;
        requireBroken(earlier, later);
        later.previous = "before";
        requireBroken(earlier, later);
        later.number = 1;
        requireRefused(chain(earlier, later), Faults.SequenceHolds.selector);
        (later.number, later.epoch) = (0, uint256(epoch) + 2);
        requireRefused(chain(earlier, later), Faults.SequenceHolds.selector);
    }

    function test_a_broken_sequence_takes_the_coordinators_stake() public {
        registerAs(Role.Coordinator, TASK_COORDINATOR_KEY, OTHER_OWNER, COORDINATOR_STAKE);
        Link memory earlier = Link(4, 5, "before", TASK_COORDINATOR_KEY);
        slashing.proveFault(chain(earlier, Link(4, 6, "another", TASK_COORDINATOR_KEY)));
        vm.assertEq(staking.nodeInfo(vm.addr(TASK_COORDINATOR_KEY)).totalStake, 0, "nothing is left");
    }

    function test_attack_announcements_of_two_coordinators() public {
        Link memory earlier = Link(4, 5, "before", TASK_COORDINATOR_KEY);
        requireRefused(chain(earlier, Link(4, 6, "x", NODE_KEY)), Faults.DifferentCoordinators.selector);
        bytes memory body = bodyOf(earlier, vm.addr(TASK_COORDINATOR_KEY));
        bytes memory forged = envelope(2, bytes32(uint256(4) << 64 | 5), body, NODE_KEY);
        bytes memory later = signed(Link(4, 6, "x", TASK_COORDINATOR_KEY));
        bytes memory proof = bytes.concat(head(4, 3), unsigned(2), byteString(forged), byteString(later));
        requireRefused(proof, SignedTask.NotByCoordinator.selector);
    }
}

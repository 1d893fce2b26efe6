// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CanonicalCbor} from "./CanonicalCbor.sol";
import {CommittedTrace, Leaf, Trace} from "./CommittedTrace.sol";
import {LatentRules} from "./LatentRules.sol";
import {Announcement, Finding, SignedTask} from "./SignedTask.sol";
import {SoftFloat} from "./SoftFloat.sol";

/// @notice What a piece of evidence proves.
struct Offence {
    uint8 fault;
    /// The node key.
    address signer;
    /// Of the statement in question: a commitment's is its task; of two announcements it is the later one's.
    bytes32 slot;
}

/// @title Faults that follow from what was signed, to the last bit.
/// @notice Evidence is canonical CBOR, as peers send it to each other: an array of the fault's number and what
/// belongs to it, which the interface of Slashing lists. Whatever it does not show reverts.
library Faults {
    using CanonicalCbor for CanonicalCbor.Cursor;
    using CommittedTrace for CanonicalCbor.Cursor;
    using CommittedTrace for Trace;

    /// @notice No such fault is judged here, or evidence of it has another number of items.
    error UnknownFault(uint256 fault, uint256 items);
    /// @notice The announcements are of two coordinators.
    error DifferentCoordinators(address earlier, address later);
    /// @notice The announcements may be of one chain.
    error SequenceHolds();
    /// @notice All units that were announced were made.
    error CountIsRight(uint256 units);
    /// @notice That is what the scheduler, or the seed, gives.
    error NumberIsRight(uint256 committed);
    /// @notice The verdict is on another work.
    error NotOnThisCommitment(bytes32 commitment, bytes32 found);
    /// @notice The verdict has another reason, or is on another number.
    error NotOnThisNumber(uint256 reason, uint256 place);
    /// @notice The number is as false as the verdict says.
    error VerdictIsRight(uint256 committed, uint256 expected);
    /// @notice The number is neither infinite nor a NaN.
    error NumberIsFinite(uint256 number);
    /// @notice No trace has such a tensor.
    error NoSuchTensor(uint256 step, uint256 part);
    /// @notice The tensor may be the task's.
    error TensorIsWellFormed(bytes32 tensor);

    uint8 private constant BROKEN_SEQUENCE = 2;
    uint8 private constant FALSE_STEP = 5;
    uint8 private constant FALSE_START = 6;
    uint8 private constant NOT_FINITE = 7;
    uint8 private constant STEP_COUNT = 8;
    uint8 private constant MALFORMED_TRACE = 9;
    uint8 private constant FALSE_VERDICT = 10;

    /// @dev Reasons of verdicts.
    uint256 private constant INITIAL_LATENT = 4;
    uint256 private constant SCHEDULER_STEP = 5;

    uint256 private constant ITEMS_MAX = 11;
    /// @dev Of a statement: no transaction carries more.
    uint256 private constant BYTES_MAX = 1 << 32;
    uint256 private constant TENSOR_BYTES = 36;
    uint256 private constant IMAGE_TO_IMAGE = 1;

    /// @dev Tensors of a step; the source latent is no step's, and asked for with step 0.
    uint256 private constant LATENT = 0;
    uint256 private constant UNCONDITIONAL = 1;
    uint256 private constant SOURCE = 3;

    /// @notice What evidence proves; reverts if that is nothing.
    /// @param domain Separator of the domain in which statements are signed.
    function judge(bytes calldata evidence, bytes32 domain) internal view returns (Offence memory) {
        CanonicalCbor.Cursor memory cursor = CanonicalCbor.open(evidence);
        uint256 items = cursor.array(1, ITEMS_MAX);
        uint256 fault = cursor.unsigned(type(uint8).max);
        if (items != _itemsOf(fault)) revert UnknownFault(fault, items);
        if (fault == BROKEN_SEQUENCE) return _brokenSequence(cursor, domain);
        if (fault == FALSE_VERDICT) return _falseVerdict(cursor, domain);
        Trace memory trace;
        _readTask(trace, cursor, domain);
        if (fault == STEP_COUNT) {
            if (trace.commitment.unitsDone == trace.task.units) revert CountIsRight(trace.task.units);
        } else {
            _requireFaultOfTrace(fault, trace, cursor);
        }
        cursor.close();
        return Offence(uint8(fault), trace.commitment.miner, trace.task.digest);
    }

    function _readTask(Trace memory trace, CanonicalCbor.Cursor memory cursor, bytes32 domain) private pure {
        SignedTask.readAnnouncement(trace.task, cursor.byteString(1, BYTES_MAX), domain);
        SignedTask.readCommitment(trace.commitment, cursor.byteString(1, BYTES_MAX), domain);
        CommittedTrace.requireImage(trace.task, trace.commitment);
    }

    /// @dev How many items evidence of a fault has, with its number; 0 if it is not judged.
    function _itemsOf(uint256 fault) private pure returns (uint256) {
        if (fault == FALSE_STEP || fault == FALSE_START) return ITEMS_MAX;
        if (fault == NOT_FINITE || fault == MALFORMED_TRACE) return 10;
        if (fault == BROKEN_SEQUENCE || fault == STEP_COUNT || fault == FALSE_VERDICT) return 3;
        return 0;
    }

    /// @dev Number N + 1 of an epoch names number N. Number 0 names the last one of the epoch before: not
    /// nothing, if there is one, and none that another one of that epoch follows.
    function _brokenSequence(CanonicalCbor.Cursor memory cursor, bytes32 domain)
        private
        pure
        returns (Offence memory)
    {
        Announcement memory earlier;
        Announcement memory later;
        SignedTask.readSignedAnnouncement(earlier, cursor.byteString(1, BYTES_MAX), domain);
        SignedTask.readSignedAnnouncement(later, cursor.byteString(1, BYTES_MAX), domain);
        cursor.close();
        if (earlier.coordinator != later.coordinator) {
            revert DifferentCoordinators(earlier.coordinator, later.coordinator);
        }
        bool broken;
        if (earlier.epoch == later.epoch) {
            broken = earlier.number + 1 == later.number && later.previous != earlier.digest;
        } else if (earlier.epoch + 1 == later.epoch && later.number == 0) {
            broken = later.previous == 0 || later.previous == earlier.previous;
        }
        if (!broken) revert SequenceHolds();
        return Offence(BROKEN_SEQUENCE, later.coordinator, later.slot);
    }

    function _requireFaultOfTrace(uint256 fault, Trace memory trace, CanonicalCbor.Cursor memory cursor)
        private
        view
    {
        trace.readTrace(cursor);
        if (fault == NOT_FINITE) {
            _requireNotFinite(trace, cursor);
        } else {
            trace.readModel(cursor);
            trace.readPublic(cursor);
            if (fault == MALFORMED_TRACE) {
                _requireMalformed(trace, cursor);
            } else {
                (, uint256 committed, uint256 expected) = _numberOf(fault, trace, cursor);
                if (SoftFloat.sameHalf(committed, expected)) revert NumberIsRight(committed);
            }
        }
    }

    /// @dev A number of a latent, and what it has to be.
    function _numberOf(uint256 fault, Trace memory trace, CanonicalCbor.Cursor memory cursor)
        private
        view
        returns (uint256 place, uint256 committed, uint256 expected)
    {
        return fault == FALSE_STEP
            ? LatentRules.numberOfStep(trace, cursor)
            : LatentRules.numberOfStart(trace, cursor);
    }

    /// @dev A verdict, and the evidence that it would need, which shows that the number is right.
    function _falseVerdict(CanonicalCbor.Cursor memory cursor, bytes32 domain)
        private
        view
        returns (Offence memory)
    {
        Finding memory finding = SignedTask.readVerdict(cursor.byteString(1, BYTES_MAX), domain);
        CanonicalCbor.Cursor memory refuted = CanonicalCbor.open(cursor.byteString(1, BYTES_MAX));
        cursor.close();
        refuted.array(ITEMS_MAX, ITEMS_MAX);
        uint256 fault = refuted.unsigned(type(uint8).max);
        bool isStep = fault == FALSE_STEP && finding.reason == SCHEDULER_STEP;
        if (!isStep && !(fault == FALSE_START && finding.reason == INITIAL_LATENT)) {
            revert NotOnThisNumber(finding.reason, finding.place);
        }
        Trace memory trace;
        _readTask(trace, refuted, domain);
        if (trace.commitment.digest != finding.commitment) {
            revert NotOnThisCommitment(finding.commitment, trace.commitment.digest);
        }
        trace.readTrace(refuted);
        trace.readModel(refuted);
        trace.readPublic(refuted);
        (uint256 place, uint256 committed, uint256 expected) = _numberOf(fault, trace, refuted);
        refuted.close();
        if (place != finding.place) revert NotOnThisNumber(finding.reason, finding.place);
        if (!SoftFloat.sameHalf(committed, expected)) revert VerdictIsRight(committed, expected);
        return Offence(FALSE_VERDICT, finding.auditor, finding.slot);
    }

    /// @dev The size need not be the task's: that which is under the tensor's hash is meant.
    function _requireNotFinite(Trace memory trace, CanonicalCbor.Cursor memory cursor) private view {
        uint256 step = cursor.unsigned(type(uint16).max);
        uint256 part = cursor.unsigned(SOURCE);
        uint256 size = cursor.unsigned(CommittedTrace.SIZE_MAX);
        uint256 number = cursor.unsigned(CommittedTrace.SIZE_MAX);
        bytes32 tensor = _tensorOf(trace, cursor, step, part);
        uint256 half = cursor.readNumber(tensor, size, number);
        if (SoftFloat.isFiniteHalf(half)) revert NumberIsFinite(half);
    }

    /// @dev A tensor that is there and must not be, is not there and must be, or has another size.
    function _requireMalformed(Trace memory trace, CanonicalCbor.Cursor memory cursor) private view {
        uint256 step = cursor.unsigned(type(uint16).max);
        uint256 part = cursor.unsigned(SOURCE);
        bytes32 tensor = _tensorOf(trace, cursor, step, part);
        bool wanted = true;
        if (part == UNCONDITIONAL) wanted = trace.guidanceMilli > LatentRules.UNGUIDED_MILLI_MAX;
        if (part == SOURCE) wanted = trace.task.workKind == IMAGE_TO_IMAGE;
        bool malformed = (tensor != CommittedTrace.ABSENT) != wanted;
        if (cursor.array(0, 1) == 1) {
            bytes calldata preimage = cursor.byteString(TENSOR_BYTES, TENSOR_BYTES);
            bytes32 hash = sha256(preimage);
            if (hash != tensor) revert CommittedTrace.NotThePiece(tensor, hash);
            if (uint32(bytes4(preimage)) != trace.size) malformed = true;
        }
        if (!malformed) revert TensorIsWellFormed(tensor);
    }

    /// @dev The hash of a tensor of the trace. A list follows: the leaf that it stands in, or nothing.
    function _tensorOf(Trace memory trace, CanonicalCbor.Cursor memory cursor, uint256 step, uint256 part)
        private
        view
        returns (bytes32)
    {
        bool isLast = part == LATENT && step == trace.task.units;
        if (isLast || part == SOURCE) {
            cursor.array(0, 0);
            if (part == SOURCE && step != 0) revert NoSuchTensor(step, part);
            return isLast ? trace.last : trace.source;
        }
        cursor.array(1, 1);
        Leaf memory leaf = trace.readLeaf(cursor, step);
        if (part == LATENT) return leaf.latent;
        return part == UNCONDITIONAL ? leaf.unconditional : leaf.conditional;
    }
}

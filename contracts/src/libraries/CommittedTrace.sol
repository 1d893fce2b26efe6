// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CanonicalCbor} from "./CanonicalCbor.sol";
import {Sha256Tree} from "./Sha256Tree.sol";
import {Announcement, Commitment} from "./SignedTask.sol";

/// @notice A miner's trace of a task, as far as evidence shows it.
struct Trace {
    Announcement task;
    Commitment commitment;
    /// Hash of the latent that the source image was encoded to.
    bytes32 source;
    /// Merkle root over a leaf for each step.
    bytes32 steps;
    /// Hash of the latent after the last step.
    bytes32 last;
    /// Of the package's head: numbers in each tensor, and most steps of a schedule.
    uint256 size;
    uint256 stepsMax;
    /// Merkle root over the package's rows, one for each step of each schedule.
    bytes32 rows;
    /// Of the public half of the input.
    uint256 seed;
    uint256 guidanceMilli;
    uint256 scheduleSteps;
}

/// @notice The three tensors of a step.
struct Leaf {
    bytes32 latent;
    bytes32 unconditional;
    bytes32 conditional;
}

/// @title From what was signed down to one number of one tensor: each link is a hash that the one above names.
/// @notice All functions take the next item of the evidence, and revert unless it fits.
library CommittedTrace {
    using CanonicalCbor for CanonicalCbor.Cursor;

    /// @notice The commitment is to another task than the announcement's.
    error NotOfThisTask(bytes32 taskId, bytes32 found);
    /// @notice No such fault is known of this kind of work.
    error WorkKindNotJudged(uint256 workKind);
    /// @notice The roots are not those behind the trace root that was committed to.
    error NotTheTrace(bytes32 traceRoot, bytes32 found);
    /// @notice Head and roots are not those of the announced model.
    error NotTheModel(bytes32 modelId, bytes32 found);
    /// @notice The model goes by a rule, a layout or a form of numbers that is not known here.
    error UnknownRule(bytes6 rules);
    /// @notice A tensor for such a picture would have no numbers, too many, or not a whole number of them.
    error ImpossibleSize(uint256 channels, uint256 factor, uint256 width, uint256 height);
    /// @notice The numbers are not those of the announced input.
    error NotTheInput(bytes32 inputCommitment, bytes32 found);
    /// @notice No miner takes so strong a guidance.
    error GuidanceTooStrong(uint256 guidanceMilli);
    /// @notice The model has no rows for such a schedule, or the task cannot be a part of it.
    error NoSuchSchedule(uint256 units, uint256 scheduleSteps, uint256 stepsMax);
    /// @notice The row is not the one of this step.
    error NotTheRow(bytes32 rows, bytes32 found);
    /// @notice The task has no such step.
    error NoSuchStep(uint256 step, uint256 units);
    /// @notice The leaf is not the one of this step.
    error NotTheLeaf(bytes32 steps, bytes32 found);
    /// @notice The piece is not the one of this number, or the tensor has another size.
    error NotThePiece(bytes32 tensor, bytes32 found);

    /// @dev SHA-256 of no bytes: in the place of a tensor that a task does not have.
    bytes32 internal constant ABSENT = 0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855;
    uint256 internal constant ROW_BYTES = 40;
    uint256 internal constant SIZE_MAX = 262_144;

    bytes15 private constant TRACE_DOMAIN = "cuckoo/trace/3\x00";
    bytes15 private constant MODEL_DOMAIN = "cuckoo/model/1\x00";
    uint256 private constant TRACE_BYTES = 96;
    uint256 private constant MODEL_BYTES = 76;
    uint256 private constant LEAF_BYTES = 96;
    uint256 private constant HASH_BYTES = 32;
    uint256 private constant HEAD = 32;
    /// @dev Head 1, binary16, channels first, normal quantiles by SHA-256, u + g (c - u), one step back or none.
    bytes6 private constant RULES = 0x0101_0101_0101;
    bytes6 private constant RULES_TWO_STEPS = 0x0101_0101_0102;
    uint256 private constant STEPS_MAX = 200;
    uint256 private constant GUIDANCE_MILLI_MAX = 30_000;
    uint256 private constant IMAGE_TO_IMAGE = 1;
    uint256 private constant PUBLIC_BYTES_MAX = 1024;
    uint256 private constant NUMBERS_BYTES_MAX = 512;
    uint256 private constant PIECE_NUMBERS = 64;
    uint256 private constant NUMBER_BYTES = 2;
    uint256 private constant SIBLINGS_MAX = 20;
    uint256 private constant PROVED_BYTES_MAX = 128 + SIBLINGS_MAX * HASH_BYTES;

    /// @notice Whether a commitment is to a task of an image kind.
    function requireImage(Announcement memory task, Commitment memory commitment) internal pure {
        if (commitment.taskId != task.digest) revert NotOfThisTask(task.digest, commitment.taskId);
        if (task.workKind > IMAGE_TO_IMAGE) revert WorkKindNotJudged(task.workKind);
    }

    /// @notice The three hashes that are bound by the trace root.
    function readTrace(Trace memory trace, CanonicalCbor.Cursor memory cursor) internal pure {
        bytes calldata hashes = cursor.byteString(TRACE_BYTES, TRACE_BYTES);
        trace.source = bytes32(hashes);
        trace.steps = bytes32(hashes[HASH_BYTES:]);
        trace.last = bytes32(hashes[2 * HASH_BYTES:]);
        bytes32 root = sha256(
            abi.encodePacked(
                TRACE_DOMAIN,
                trace.task.digest,
                trace.commitment.miner,
                trace.task.modelId,
                hashes,
                trace.commitment.outputHash
            )
        );
        if (root != trace.commitment.traceRoot) revert NotTheTrace(trace.commitment.traceRoot, root);
    }

    /// @notice The head of the model: by which rules it goes, and how large its tensors are.
    function readModel(Trace memory trace, CanonicalCbor.Cursor memory cursor) internal pure {
        bytes calldata model = cursor.byteString(MODEL_BYTES, MODEL_BYTES);
        bytes32 modelId = sha256(abi.encodePacked(MODEL_DOMAIN, model));
        if (modelId != trace.task.modelId) revert NotTheModel(trace.task.modelId, modelId);
        bytes6 rules = bytes6(model[HEAD:]);
        trace.stepsMax = uint16(bytes2(model[HEAD + 10:]));
        bool known = rules == RULES || rules == RULES_TWO_STEPS;
        if (!known || trace.stepsMax > STEPS_MAX) revert UnknownRule(rules);
        trace.size = _sizeOf(trace.task, uint16(bytes2(model[HEAD + 6:])), uint16(bytes2(model[HEAD + 8:])));
        trace.rows = bytes32(model[HEAD + 12:]);
    }

    /// @notice The public half of the input: seed, guidance, schedule.
    function readPublic(Trace memory trace, CanonicalCbor.Cursor memory cursor) internal view {
        bytes calldata proved = cursor.byteString(HASH_BYTES, PUBLIC_BYTES_MAX);
        uint256 size;
        unchecked {
            size = proved.length - HASH_BYTES;
        }
        bytes32 commitment = Sha256Tree.rootOf(proved, size, 0, 2);
        if (commitment != trace.task.inputCommitment) {
            revert NotTheInput(trace.task.inputCommitment, commitment);
        }
        CanonicalCbor.Cursor memory half = CanonicalCbor.open(proved[:size]);
        half.array(2, 2);
        CanonicalCbor.Cursor memory numbers = CanonicalCbor.open(half.byteString(0, NUMBERS_BYTES_MAX));
        numbers.array(3, 3);
        trace.seed = numbers.unsigned(type(uint64).max);
        trace.guidanceMilli = numbers.unsigned(type(uint32).max);
        trace.scheduleSteps = numbers.unsigned(type(uint16).max);
        numbers.close();
        if (trace.guidanceMilli > GUIDANCE_MILLI_MAX) revert GuidanceTooStrong(trace.guidanceMilli);
    }

    /// @notice The row of a step: ten binary32, big-endian.
    /// @return first Eight of them: the timestep, a b c d e f p.
    /// @return second q.
    function readRow(Trace memory trace, CanonicalCbor.Cursor memory cursor, uint256 step)
        internal
        view
        returns (uint256 first, uint256 second)
    {
        uint256 index = _rowOf(trace, step);
        bytes calldata row = cursor.byteString(ROW_BYTES, PROVED_BYTES_MAX);
        bytes32 root = Sha256Tree.rootOf(row, ROW_BYTES, index, _rowsOf(trace.stepsMax));
        if (root != trace.rows) revert NotTheRow(trace.rows, root);
        first = uint256(bytes32(row));
        second = uint32(bytes4(row[HASH_BYTES:]));
    }

    /// @notice The leaf of a step.
    function readLeaf(Trace memory trace, CanonicalCbor.Cursor memory cursor, uint256 step)
        internal
        view
        returns (Leaf memory leaf)
    {
        bytes calldata proved = cursor.byteString(LEAF_BYTES, PROVED_BYTES_MAX);
        bytes32 root = Sha256Tree.rootOf(proved, LEAF_BYTES, step, trace.task.units);
        if (root != trace.steps) revert NotTheLeaf(trace.steps, root);
        leaf.latent = bytes32(proved);
        leaf.unconditional = bytes32(proved[HASH_BYTES:]);
        leaf.conditional = bytes32(proved[2 * HASH_BYTES:]);
    }

    /// @notice A number of a tensor, binary16.
    /// @param tensor Its hash, SHA-256 of how many numbers it has and of the root over its pieces.
    /// @param size How many it has. No piece of a tensor of another size is proved, whatever its tree's shape.
    function readNumber(CanonicalCbor.Cursor memory cursor, bytes32 tensor, uint256 size, uint256 number)
        internal
        view
        returns (uint256)
    {
        if (number >= size) revert Sha256Tree.NoSuchLeaf(number, size);
        bytes calldata proved = cursor.byteString(NUMBER_BYTES, PROVED_BYTES_MAX);
        bytes32 hash = Sha256Tree.hashOf(size, _rootOfPiece(proved, size, number));
        if (hash != tensor) revert NotThePiece(tensor, hash);
        unchecked {
            uint256 offset = number % PIECE_NUMBERS * NUMBER_BYTES;
            return uint256(uint8(proved[offset])) | uint256(uint8(proved[offset + 1])) << 8;
        }
    }

    /// @param number Below `size`, which is below 2^32.
    function _rootOfPiece(bytes calldata proved, uint256 size, uint256 number)
        private
        view
        returns (bytes32)
    {
        unchecked {
            uint256 piece = number / PIECE_NUMBERS;
            uint256 left = size - piece * PIECE_NUMBERS;
            if (left > PIECE_NUMBERS) left = PIECE_NUMBERS;
            uint256 count = (size + PIECE_NUMBERS - 1) / PIECE_NUMBERS;
            return Sha256Tree.rootOf(proved, left * NUMBER_BYTES, piece, count);
        }
    }

    /// @dev The rows of a schedule stand behind those of all shorter ones; a task runs the last `units` of them.
    function _rowOf(Trace memory trace, uint256 step) private pure returns (uint256) {
        (uint256 units, uint256 schedule) = (trace.task.units, trace.scheduleSteps);
        bool whole = units == schedule || trace.task.workKind == IMAGE_TO_IMAGE;
        if (units > schedule || schedule > trace.stepsMax || !whole) {
            revert NoSuchSchedule(units, schedule, trace.stepsMax);
        }
        if (step >= units) revert NoSuchStep(step, units);
        unchecked {
            return _rowsOf(schedule) - units + step;
        }
    }

    /// @dev How many rows the schedules of up to so many steps have.
    function _rowsOf(uint256 steps) private pure returns (uint256) {
        unchecked {
            return steps * (steps + 1) / 2;
        }
    }

    /// @dev All of them are below 2^16.
    function _sizeOf(Announcement memory task, uint256 channels, uint256 factor)
        private
        pure
        returns (uint256 size)
    {
        unchecked {
            bool whole = factor != 0 && task.width % factor == 0 && task.height % factor == 0;
            if (whole) size = channels * (task.width / factor) * (task.height / factor);
        }
        if (size == 0 || size > SIZE_MAX) revert ImpossibleSize(channels, factor, task.width, task.height);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CanonicalCbor} from "./CanonicalCbor.sol";
import {CommittedTrace, Leaf, Trace} from "./CommittedTrace.sol";
import {Sha256Tree} from "./Sha256Tree.sol";
import {SoftFloat} from "./SoftFloat.sol";

/// @title The two rules by which a latent follows from what was committed to, to the last bit of every number.
/// @notice Both take the rest of the evidence, which shows one number, and say what it is and should be. A place
/// is the step shifted by 32 bits, and the number.
library LatentRules {
    using CanonicalCbor for CanonicalCbor.Cursor;
    using CommittedTrace for CanonicalCbor.Cursor;
    using CommittedTrace for Trace;

    /// @dev The tensors behind one number of a step's result.
    struct Tensors {
        bytes32 next;
        Leaf here;
        /// Of the step before, if the row looks back to it.
        Leaf before;
        bool looksBack;
    }

    /// @notice An infinite number, or a NaN, is a fault of its own; nothing is computed with it.
    error NotFinite(uint256 number);
    /// @notice The entries are not those of the table of quantiles.
    error NotTheQuantiles(bytes32 found);

    /// @notice Up to here the output is the one with the prompt alone.
    uint256 internal constant UNGUIDED_MILLI_MAX = 1000;

    /// @notice From a step to the place of its number 0.
    uint256 internal constant PLACE_SHIFT = 32;

    uint256 private constant STEP_MAX = type(uint16).max;
    uint256 private constant IMAGE_TO_IMAGE = 1;

    /// @dev Places of the coefficients in the first word of a row; the timestep stands first.
    uint256 private constant A = 1;
    uint256 private constant B = 2;
    uint256 private constant C = 3;
    uint256 private constant D = 4;
    uint256 private constant E = 5;
    uint256 private constant F = 6;
    uint256 private constant P = 7;
    uint256 private constant SINGLE_BYTES = 4;

    /// @dev Root over the table of 65,536 normal quantiles, sixteen to a leaf.
    bytes32 private constant QUANTILES = 0x10e691a8bde2ffac952c82b2ceca3204a974ff73213f86d896896624b1b4d07e;
    bytes16 private constant LATENT_DOMAIN = "cuckoo/latent/1\x00";
    /// @dev So many integers are in a block of a seed, and so many quantiles in a leaf.
    uint256 private constant LANES = 16;
    uint256 private constant QUANTILE_LEAVES = 4096;
    uint256 private constant QUANTILE_LEAF_BYTES = LANES * SINGLE_BYTES;
    uint256 private constant QUANTILE_PROOF_BYTES = QUANTILE_LEAF_BYTES + 12 * 32;

    /// @notice A step of the scheduler: next x = e x + f m in the first that is run, a x + b m + c x' + d m' in
    /// all others, m the guided output. Each operation is rounded by itself, from left to right.
    /// @dev Where c and d are zero, their terms change the sign of a zero at most, and -0 is +0.
    function numberOfStep(Trace memory trace, CanonicalCbor.Cursor memory cursor)
        internal
        view
        returns (uint256 place, uint256 committed, uint256 expected)
    {
        uint256 index = cursor.unsigned(STEP_MAX);
        uint256 number = cursor.unsigned(CommittedTrace.SIZE_MAX);
        place = index << PLACE_SHIFT | number;
        (uint256 row,) = trace.readRow(cursor, index);
        Tensors memory tensors = _tensorsOf(trace, cursor, index, row);
        uint256 guidance = _guidanceOf(trace);
        _openPieces(cursor, guidance != 0, tensors.looksBack);
        committed = _finite(cursor, tensors.next, trace.size, number);

        (uint256 latent, uint256 output) = _stateOf(cursor, tensors.here, trace.size, number, guidance);
        latent = SoftFloat.multiply(_coefficient(row, index == 0 ? E : A), latent);
        output = SoftFloat.multiply(_coefficient(row, index == 0 ? F : B), output);
        uint256 sum = SoftFloat.add(latent, output);
        if (tensors.looksBack) {
            (latent, output) = _stateOf(cursor, tensors.before, trace.size, number, guidance);
            sum = SoftFloat.add(sum, SoftFloat.multiply(_coefficient(row, C), latent));
            sum = SoftFloat.add(sum, SoftFloat.multiply(_coefficient(row, D), output));
        }
        expected = SoftFloat.toHalf(sum);
    }

    /// @notice The first latent: the seed's quantile r, or p z + q r with a source latent z.
    function numberOfStart(Trace memory trace, CanonicalCbor.Cursor memory cursor)
        internal
        view
        returns (uint256 number, uint256 committed, uint256 expected)
    {
        number = cursor.unsigned(CommittedTrace.SIZE_MAX);
        (uint256 row, uint256 q) = trace.readRow(cursor, 0);
        bytes32 first = trace.readLeaf(cursor, 0).latent;
        uint256 sum = _quantileOf(cursor, trace.seed, number);
        bool hasSource = trace.task.workKind == IMAGE_TO_IMAGE;
        cursor.array(hasSource ? 2 : 1, hasSource ? 2 : 1);
        committed = _finite(cursor, first, trace.size, number);
        if (hasSource) {
            uint256 source = SoftFloat.fromHalf(_finite(cursor, trace.source, trace.size, number));
            source = SoftFloat.multiply(_coefficient(row, P), source);
            sum = SoftFloat.add(source, SoftFloat.multiply(q, sum));
        }
        expected = SoftFloat.toHalf(sum);
    }

    /// @dev The leaves of a step, of the one after it, whose latent is the result, and of the one before it.
    function _tensorsOf(Trace memory trace, CanonicalCbor.Cursor memory cursor, uint256 step, uint256 row)
        private
        view
        returns (Tensors memory tensors)
    {
        bool isOfOneStep = SoftFloat.isZero(_coefficient(row, C)) && SoftFloat.isZero(_coefficient(row, D));
        tensors.looksBack = step != 0 && !isOfOneStep;
        bool isLast = step + 1 == trace.task.units;
        uint256 leaves = 1 + (isLast ? 0 : 1) + (tensors.looksBack ? 1 : 0);
        cursor.array(leaves, leaves);
        tensors.here = trace.readLeaf(cursor, step);
        tensors.next = isLast ? trace.last : trace.readLeaf(cursor, step + 1).latent;
        if (tensors.looksBack) tensors.before = trace.readLeaf(cursor, step - 1);
    }

    /// @dev The pieces that follow: of the result, then of the latent and the outputs of one step or two.
    function _openPieces(CanonicalCbor.Cursor memory cursor, bool guided, bool looksBack) private pure {
        uint256 ofAStep = guided ? 3 : 2;
        uint256 pieces = 1 + (looksBack ? 2 * ofAStep : ofAStep);
        cursor.array(pieces, pieces);
    }

    /// @dev The scale of guidance; zero, which no scale is, if there is none.
    function _guidanceOf(Trace memory trace) private pure returns (uint256) {
        bool guided = trace.guidanceMilli > UNGUIDED_MILLI_MAX;
        return guided ? SoftFloat.thousandths(trace.guidanceMilli) : 0;
    }

    /// @dev A number of a step's latent, and of its guided output u + g (c - u), as binary32.
    function _stateOf(
        CanonicalCbor.Cursor memory cursor,
        Leaf memory leaf,
        uint256 size,
        uint256 number,
        uint256 guidance
    ) private view returns (uint256 latent, uint256 output) {
        latent = SoftFloat.fromHalf(_finite(cursor, leaf.latent, size, number));
        if (guidance == 0) {
            output = SoftFloat.fromHalf(_finite(cursor, leaf.conditional, size, number));
        } else {
            uint256 base = SoftFloat.fromHalf(_finite(cursor, leaf.unconditional, size, number));
            output = SoftFloat.fromHalf(_finite(cursor, leaf.conditional, size, number));
            output = SoftFloat.multiply(guidance, SoftFloat.subtract(output, base));
            output = SoftFloat.add(base, output);
        }
    }

    function _finite(CanonicalCbor.Cursor memory cursor, bytes32 tensor, uint256 size, uint256 number)
        private
        view
        returns (uint256 half)
    {
        half = cursor.readNumber(tensor, size, number);
        if (!SoftFloat.isFiniteHalf(half)) revert NotFinite(half);
    }

    /// @dev The quantile that a seed has for a number, binary32. Block n of a seed is sixteen integers of 16
    /// bits; integer i is entry i of the table.
    function _quantileOf(CanonicalCbor.Cursor memory cursor, uint256 seed, uint256 number)
        private
        view
        returns (uint256)
    {
        bytes32 drawn = sha256(abi.encodePacked(LATENT_DOMAIN, uint64(seed), uint64(number / LANES)));
        uint256 entry = (uint256(drawn) >> (240 - 16 * (number % LANES))) & type(uint16).max;
        bytes calldata proved = cursor.byteString(QUANTILE_PROOF_BYTES, QUANTILE_PROOF_BYTES);
        bytes32 root = Sha256Tree.rootOf(proved, QUANTILE_LEAF_BYTES, entry / LANES, QUANTILE_LEAVES);
        if (root != QUANTILES) revert NotTheQuantiles(root);
        return uint32(bytes4(proved[entry % LANES * SINGLE_BYTES:]));
    }

    /// @dev One of the eight binary32 of a word.
    function _coefficient(uint256 row, uint256 place) private pure returns (uint256) {
        unchecked {
            return (row >> (224 - 32 * place)) & type(uint32).max;
        }
    }
}

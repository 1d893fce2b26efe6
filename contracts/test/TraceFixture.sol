// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {Sha256Trees} from "./Sha256Trees.sol";
import {SoftFloat} from "../src/libraries/SoftFloat.sol";

/// @notice What a task is about, and which number of it evidence shows.
struct Plan {
    uint256 kind;
    uint256 units;
    uint256 schedule;
    uint256 stepsMax;
    uint256 channels;
    uint256 factor;
    uint256 width;
    uint256 height;
    uint256 seed;
    uint256 guidanceMilli;
    bool twoSteps;
    uint256 places;
    uint256 addressBytes;
    uint256 step;
    uint256 number;
    /// Added to the bits of the number that the rule gives.
    uint256 off;
    /// All other numbers of the result are the rule's too.
    bool whole;
    /// The number is -0 in all that it follows from.
    bool zero;
    /// Not 0: the rule of this number, from 1, is one that is not known.
    uint256 otherRule;
    /// Not 0: what is announced, or stands in the head of the model, in place of the above.
    uint256 announcedHeight;
    uint256 announcedChannels;
    bytes32 random;
}

/// @notice The items of evidence that are the same whatever is false; encoded, but not as byte strings.
struct Shown {
    bytes announcement;
    bytes commitment;
    bytes trace;
    bytes model;
    bytes publicHalf;
    bytes row;
    bytes[] leaves;
    bytes[] pieces;
}

/// @notice Makes tasks, traces and evidence as a node does, with numbers that are as good as any.
abstract contract TraceFixture is Fixture {
    uint256 internal constant TASK_COORDINATOR_KEY = 0xC00D;
    bytes32 internal constant ABSENT = sha256("");
    uint256 internal constant PIECE_BYTES = 128;

    // Tensors of a step; those of the step before stand four further.
    uint256 internal constant LATENT = 0;
    uint256 internal constant UNCONDITIONAL = 1;
    uint256 internal constant CONDITIONAL = 2;
    uint256 internal constant BEFORE = 4;
    uint256 internal constant NEXT = 8;
    uint256 internal constant SOURCE = 9;

    /// @dev Where the tests' evidence is; a test changes it before it encodes it.
    Shown internal shown;

    function plan() internal pure returns (Plan memory p) {
        (p.units, p.schedule, p.stepsMax) = (20, 20, 30);
        (p.channels, p.factor, p.width, p.height) = (4, 4, 32, 32);
        (p.seed, p.guidanceMilli) = (7, 4_000);
        (p.places, p.addressBytes) = (3, 40);
        (p.step, p.number, p.off) = (8, 100, 1);
        p.random = "random";
    }

    function sizeOf(Plan memory p) internal pure returns (uint256) {
        return p.channels * (p.width / p.factor) * (p.height / p.factor);
    }

    // --- CBOR ---

    function head(uint256 major, uint256 argument) internal pure returns (bytes memory) {
        uint256 first = major << 5;
        if (argument < 24) return abi.encodePacked(uint8(first | argument));
        if (argument < 1 << 8) return abi.encodePacked(uint8(first | 24), uint8(argument));
        if (argument < 1 << 16) return abi.encodePacked(uint8(first | 25), uint16(argument));
        if (argument < 1 << 32) return abi.encodePacked(uint8(first | 26), uint32(argument));
        return abi.encodePacked(uint8(first | 27), uint64(argument));
    }

    function unsigned(uint256 value) internal pure returns (bytes memory) {
        return head(0, value);
    }

    function byteString(bytes memory data) internal pure returns (bytes memory) {
        return bytes.concat(head(2, data.length), data);
    }

    function word(bytes32 data) internal pure returns (bytes memory) {
        return byteString(abi.encodePacked(data));
    }

    function list(bytes[] memory items) internal pure returns (bytes memory encoded) {
        encoded = head(4, items.length);
        for (uint256 i = 0; i < items.length; ++i) {
            encoded = bytes.concat(encoded, byteString(items[i]));
        }
    }

    // --- statements ---

    function announcementOf(Plan memory p, bytes32 modelId, bytes32 input)
        internal
        pure
        returns (bytes memory body)
    {
        body = bytes.concat(head(4, 14), byteString(abi.encodePacked(vm.addr(TASK_COORDINATOR_KEY))));
        body = bytes.concat(body, unsigned(3_000), unsigned(17), word(keccak256("previous")));
        body = bytes.concat(body, word(modelId), workOf(p), word(input));
        body = bytes.concat(body, unsigned(900), unsigned(0));
        body = bytes.concat(body, unsigned(1_800_000_000_000), unsigned(1_800_000_120_000));
        return bytes.concat(body, rankingOf(p.places), addressesOf(p.addressBytes), unsigned(1));
    }

    function workOf(Plan memory p) internal pure returns (bytes memory) {
        uint256 height = p.announcedHeight == 0 ? p.height : p.announcedHeight;
        bytes memory details = bytes.concat(head(4, 2), unsigned(p.width), unsigned(height));
        return bytes.concat(head(4, 3), unsigned(p.kind), unsigned(p.units), byteString(details));
    }

    function rankingOf(uint256 places) internal pure returns (bytes memory ranking) {
        ranking = head(4, places);
        for (uint256 i = 0; i < places; ++i) {
            bytes memory miner = abi.encodePacked(address(uint160(uint256(keccak256(abi.encode(i))))));
            ranking = bytes.concat(ranking, head(4, 2), byteString(miner), unsigned(i % 5));
        }
    }

    /// @dev In addresses of 128 bytes at most.
    function addressesOf(uint256 length) internal pure returns (bytes memory addresses) {
        uint256 count = (length + 127) / 128;
        addresses = head(4, count);
        for (uint256 i = 0; i < count; ++i) {
            bytes memory one_ = new bytes(i + 1 < count ? 128 : length - 128 * i);
            for (uint256 j = 0; j < one_.length; ++j) {
                one_[j] = 0x5a;
            }
            addresses = bytes.concat(addresses, byteString(one_));
        }
    }

    function digestOfAnnouncement(bytes memory body) internal view returns (bytes32) {
        return slashing.statementDigest(2, bytes32(uint256(3_000) << 64 | 17), keccak256(body));
    }

    function envelope(uint8 kind, bytes32 slot, bytes memory body, uint256 key)
        internal
        view
        returns (bytes memory)
    {
        bytes memory signature = signDigest(key, slashing.statementDigest(kind, slot, keccak256(body)));
        return bytes.concat(head(4, 4), unsigned(1), unsigned(kind), byteString(body), byteString(signature));
    }

    function commitmentOf(bytes32 taskId, bytes32 traceRoot, uint256 unitsDone)
        internal
        view
        returns (bytes memory)
    {
        bytes memory output = bytes.concat(word(keccak256("output root")), unsigned(100_000));
        output = bytes.concat(output, word(sha256("output")));
        bytes memory trace = bytes.concat(word(traceRoot), unsigned(unitsDone));
        bytes memory body = bytes.concat(head(4, 6), word(taskId), output, trace);
        return envelope(4, taskId, body, NODE_KEY);
    }

    // --- tensors ---

    /// @dev So many numbers of binary16 below 2, low byte first.
    function tensorOf(Plan memory p, uint256 which) internal pure returns (bytes memory data) {
        data = randomHalves(keccak256(abi.encode(p.random, which)), sizeOf(p));
        if (p.zero) setNumber(data, p.number, 0x8000);
    }

    function randomHalves(bytes32 random, uint256 size) internal pure returns (bytes memory data) {
        data = new bytes(2 * size);
        bytes32 mask = 0xffbfffbfffbfffbfffbfffbfffbfffbfffbfffbfffbfffbfffbfffbfffbfffbf;
        for (uint256 i = 0; i < data.length; i += 32) {
            bytes32 drawn = keccak256(abi.encode(random, i)) & mask;
            assembly ("memory-safe") {
                mstore(add(add(data, 32), i), drawn)
            }
        }
    }

    function numberOf(bytes memory tensor, uint256 number) internal pure returns (uint256) {
        return uint256(uint8(tensor[2 * number])) | uint256(uint8(tensor[2 * number + 1])) << 8;
    }

    function setNumber(bytes memory tensor, uint256 number, uint256 half) internal pure {
        tensor[2 * number] = bytes1(uint8(half));
        tensor[2 * number + 1] = bytes1(uint8(half >> 8));
    }

    function altered(Plan memory p, uint256 half) internal pure returns (uint256) {
        unchecked {
            return half + p.off;
        }
    }

    function slice(bytes memory data, uint256 from, uint256 to) internal pure returns (bytes memory part) {
        part = new bytes(to - from);
        assembly ("memory-safe") {
            mcopy(add(part, 32), add(add(data, 32), from), sub(to, from))
        }
    }

    /// @dev The hash of a tensor, and a piece of it with its siblings.
    function openTensor(bytes memory tensor, uint256 number)
        internal
        pure
        returns (bytes32 hash, bytes memory proved)
    {
        uint256 count = (tensor.length + PIECE_BYTES - 1) / PIECE_BYTES;
        bytes32[] memory hashes = new bytes32[](count);
        uint256 wanted = number / 64;
        for (uint256 i = 0; i < count; ++i) {
            uint256 end = (i + 1) * PIECE_BYTES;
            bytes memory piece = slice(tensor, i * PIECE_BYTES, end < tensor.length ? end : tensor.length);
            hashes[i] = Sha256Trees.leaf(piece);
            if (i == wanted) proved = piece;
        }
        (bytes32 root, bytes memory siblings) = Sha256Trees.prove(hashes, wanted);
        return (sha256(abi.encodePacked(uint32(tensor.length / 2), root)), bytes.concat(proved, siblings));
    }

    // --- package ---

    /// @dev a b c d e f p q as numbers between 0.5 and 2, of both signs.
    function rowOf(Plan memory p) internal pure returns (bytes memory row) {
        row = abi.encodePacked(uint32(0x43480000));
        for (uint256 i = 1; i < 9; ++i) {
            uint256 drawn = uint256(keccak256(abi.encode(p.random, "row", i)));
            uint256 bits = (drawn & 0x80ffffff) + 0x3f00_0000;
            if ((i == 3 || i == 4) && !p.twoSteps) bits &= 1 << 31;
            row = abi.encodePacked(row, uint32(bits));
        }
        row = abi.encodePacked(row, uint32(0x3a03126f));
    }

    function coefficient(bytes memory row, uint256 place) internal pure returns (uint256) {
        return uint32(bytes4(slice(row, 4 * place, 4 * place + 4)));
    }

    function showModel(Plan memory p) internal returns (bytes32 modelId) {
        uint256 rows = p.stepsMax * (p.stepsMax + 1) / 2;
        bytes32[] memory hashes = new bytes32[](rows);
        for (uint256 i = 0; i < rows; ++i) {
            hashes[i] = keccak256(abi.encode(p.random, "other row", i));
        }
        uint256 index = p.schedule * (p.schedule + 1) / 2 - p.units + p.step;
        bytes memory row = rowOf(p);
        hashes[index] = Sha256Trees.leaf(row);
        (bytes32 root, bytes memory siblings) = Sha256Trees.prove(hashes, index);
        shown.row = bytes.concat(row, siblings);
        uint48 rules = p.twoSteps ? 0x010101010102 : 0x010101010101;
        if (p.otherRule != 0) rules += uint48(2 << (8 * (p.otherRule - 1)));
        uint256 channels = p.announcedChannels == 0 ? p.channels : p.announcedChannels;
        bytes memory sizes = abi.encodePacked(uint16(channels), uint16(p.factor), uint16(p.stepsMax));
        shown.model = abi.encodePacked(keccak256("files"), rules, sizes, root);
        return sha256(abi.encodePacked("cuckoo/model/1\x00", shown.model));
    }

    function showInput(Plan memory p) internal returns (bytes32) {
        bytes memory numbers =
            bytes.concat(head(4, 3), unsigned(p.seed), unsigned(p.guidanceMilli), unsigned(p.schedule));
        bytes memory sources = head(4, 0);
        if (p.kind == 1) {
            sources = bytes.concat(head(4, 1), head(4, 3), unsigned(0), unsigned(70_000), word("source"));
        }
        bytes memory half = bytes.concat(head(4, 2), byteString(numbers), sources);
        bytes32 sealedHalf = keccak256("sealed half");
        shown.publicHalf = abi.encodePacked(half, sealedHalf);
        return Sha256Trees.above(Sha256Trees.leaf(half), sealedHalf);
    }

    /// @dev Announcement and commitment, and the roots between them.
    function showTask(Plan memory p, bytes32 source, bytes32 steps, bytes32 last) internal {
        bytes32 modelId = showModel(p);
        shown.announcement = announcementOf(p, modelId, showInput(p));
        shown.trace = abi.encodePacked(source, steps, last);
        bytes32 taskId = digestOfAnnouncement(shown.announcement);
        bytes32 root = sha256(
            abi.encodePacked("cuckoo/trace/3\x00", taskId, node, modelId, shown.trace, sha256("output"))
        );
        shown.commitment = commitmentOf(taskId, root, p.units);
    }

    /// @dev The root over leaves of all steps, of which some are given, and their proofs.
    function showLeaves(Plan memory p, uint256[] memory indices, bytes[] memory leaves)
        internal
        returns (bytes32 root)
    {
        bytes32[] memory hashes = new bytes32[](p.units);
        for (uint256 i = 0; i < p.units; ++i) {
            hashes[i] = keccak256(abi.encode(p.random, "other leaf", i));
        }
        for (uint256 i = 0; i < indices.length; ++i) {
            hashes[indices[i]] = Sha256Trees.leaf(leaves[i]);
        }
        delete shown.leaves;
        for (uint256 i = 0; i < indices.length; ++i) {
            bytes memory siblings;
            (root, siblings) = Sha256Trees.prove(hashes, indices[i]);
            shown.leaves.push(bytes.concat(leaves[i], siblings));
        }
    }

    /// @dev What the scheduler gives, written down once more.
    function nextOf(Plan memory p) internal pure returns (uint256) {
        bytes memory row = rowOf(p);
        uint256 sum =
            pairOf(p, LATENT, coefficient(row, p.step == 0 ? 5 : 1), coefficient(row, p.step == 0 ? 6 : 2));
        if (!p.twoSteps || p.step == 0) return SoftFloat.toHalf(sum);
        sum = SoftFloat.add(sum, SoftFloat.multiply(coefficient(row, 3), single(p, BEFORE + LATENT)));
        return
            SoftFloat.toHalf(SoftFloat.add(sum, SoftFloat.multiply(coefficient(row, 4), outputOf(p, BEFORE))));
    }

    function pairOf(Plan memory p, uint256 from, uint256 first, uint256 second)
        internal
        pure
        returns (uint256)
    {
        uint256 left = SoftFloat.multiply(first, single(p, from));
        return SoftFloat.add(left, SoftFloat.multiply(second, outputOf(p, from)));
    }

    function outputOf(Plan memory p, uint256 from) internal pure returns (uint256) {
        uint256 wanted = single(p, from + CONDITIONAL);
        if (p.guidanceMilli <= 1000) return wanted;
        uint256 base = single(p, from + UNCONDITIONAL);
        uint256 scale = SoftFloat.thousandths(p.guidanceMilli);
        return SoftFloat.add(base, SoftFloat.multiply(scale, SoftFloat.subtract(wanted, base)));
    }

    function single(Plan memory p, uint256 which) internal pure returns (uint256) {
        return SoftFloat.fromHalf(numberOf(tensorOf(p, which), p.number));
    }

    /// @dev A leaf of three tensors, whose pieces are shown in the order of evidence.
    function leafOf(Plan memory p, uint256 from) internal returns (bytes memory) {
        (bytes32 latent, bytes memory latentPiece) = openTensor(tensorOf(p, from), p.number);
        (bytes32 with, bytes memory withPiece) = openTensor(tensorOf(p, from + CONDITIONAL), p.number);
        shown.pieces.push(latentPiece);
        bytes32 without = ABSENT;
        if (p.guidanceMilli > 1000) {
            bytes memory piece;
            (without, piece) = openTensor(tensorOf(p, from + UNCONDITIONAL), p.number);
            shown.pieces.push(piece);
        }
        shown.pieces.push(withPiece);
        return abi.encodePacked(latent, without, with);
    }

    function resultOf(Plan memory p) internal pure returns (bytes memory next) {
        next = tensorOf(p, NEXT);
        uint256 shownNumber = p.number;
        for (p.number = 0; p.whole && p.number < sizeOf(p); ++p.number) {
            setNumber(next, p.number, nextOf(p));
        }
        p.number = shownNumber;
        setNumber(next, p.number, altered(p, nextOf(p)));
    }

    /// @dev A trace in which one number of a step's result is what the scheduler gives, and `off` more.
    function showStep(Plan memory p) internal {
        (bytes32 result, bytes memory piece) = openTensor(resultOf(p), p.number);
        delete shown.pieces;
        shown.pieces.push(piece);
        bool looksBack = p.twoSteps && p.step != 0;
        bool isLast = p.step + 1 == p.units;
        uint256 count = 1 + (isLast ? 0 : 1) + (looksBack ? 1 : 0);
        uint256[] memory indices = new uint256[](count);
        bytes[] memory leaves = new bytes[](count);
        (indices[0], leaves[0]) = (p.step, leafOf(p, 0));
        if (!isLast) {
            (indices[1], leaves[1]) = (p.step + 1, abi.encodePacked(result, keccak256("u"), keccak256("c")));
        }
        if (looksBack) (indices[count - 1], leaves[count - 1]) = (p.step - 1, leafOf(p, BEFORE));
        bytes32 root = showLeaves(p, indices, leaves);
        showTask(p, ABSENT, root, isLast ? result : keccak256("last"));
    }

    function falseStep(Plan memory p) internal view returns (bytes memory) {
        bytes memory where = bytes.concat(unsigned(p.step), unsigned(p.number));
        bytes memory proofs = bytes.concat(byteString(shown.row), list(shown.leaves), list(shown.pieces));
        return evidenceOf(5, 11, bytes.concat(termsOf(), where, proofs));
    }

    /// @dev The first latent as the seed and the source give it, with one number that is `off` more.
    /// @param quantile Of the seed for the number, binary32.
    function showStart(Plan memory p, uint256 quantile) internal {
        p.step = 0;
        delete shown.pieces;
        (bytes32 source, bytes memory sourcePiece) = openTensor(tensorOf(p, SOURCE), p.number);
        bytes memory first = tensorOf(p, LATENT);
        setNumber(first, p.number, altered(p, startOf(p, quantile)));
        (bytes32 latent, bytes memory piece) = openTensor(first, p.number);
        shown.pieces.push(piece);
        if (p.kind == 1) shown.pieces.push(sourcePiece);
        uint256[] memory indices = new uint256[](1);
        bytes[] memory leaves = new bytes[](1);
        leaves[0] = abi.encodePacked(latent, keccak256("u"), keccak256("c"));
        bytes32 root = showLeaves(p, indices, leaves);
        showTask(p, p.kind == 1 ? source : ABSENT, root, keccak256("last"));
    }

    function startOf(Plan memory p, uint256 quantile) internal pure returns (uint256) {
        if (p.kind == 0) return SoftFloat.toHalf(quantile);
        bytes memory row = rowOf(p);
        uint256 part = SoftFloat.multiply(coefficient(row, 7), single(p, SOURCE));
        return SoftFloat.toHalf(SoftFloat.add(part, SoftFloat.multiply(coefficient(row, 8), quantile)));
    }

    function falseStart(Plan memory p, bytes memory quantiles) internal view returns (bytes memory) {
        bytes memory proofs = bytes.concat(byteString(shown.row), byteString(shown.leaves[0]));
        proofs = bytes.concat(proofs, byteString(quantiles), list(shown.pieces));
        return evidenceOf(6, 11, bytes.concat(termsOf(), unsigned(p.number), proofs));
    }

    function termsOf() internal view returns (bytes memory) {
        return bytes.concat(byteString(shown.model), byteString(shown.publicHalf));
    }

    function evidenceOf(uint256 fault, uint256 items, bytes memory rest)
        internal
        view
        returns (bytes memory)
    {
        bytes memory statements = bytes.concat(byteString(shown.announcement), byteString(shown.commitment));
        return bytes.concat(head(4, items), unsigned(fault), statements, byteString(shown.trace), rest);
    }

    function requireNoByteToSpare(bytes memory proof) internal view {
        for (uint256 i = 0; i < proof.length; ++i) {
            bytes1 right = proof[i];
            proof[i] = right ^ bytes1(uint8(1 << (i % 8)));
            (bool proved,) = address(slashing).staticcall(abi.encodeCall(slashing.judgeFault, (proof)));
            vm.assertTrue(!proved, "refused");
            proof[i] = right;
        }
    }
}

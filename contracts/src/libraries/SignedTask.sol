// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {CanonicalCbor} from "./CanonicalCbor.sol";

/// @notice What an announcement says, as far as a fault hangs on it.
struct Announcement {
    /// Its EIP-712 digest, the task's id.
    bytes32 digest;
    bytes32 slot;
    address coordinator;
    uint256 epoch;
    uint256 number;
    bytes32 previous;
    bytes32 modelId;
    uint256 workKind;
    uint256 units;
    /// In pixels; zero with kinds of work other than the two of images.
    uint256 width;
    uint256 height;
    bytes32 inputCommitment;
}

/// @notice What a commitment says, as far as a fault hangs on it.
struct Commitment {
    address miner;
    bytes32 digest;
    bytes32 taskId;
    bytes32 outputHash;
    bytes32 traceRoot;
    uint256 unitsDone;
}

/// @notice What a verdict says that finds a number of a latent false.
struct Finding {
    address auditor;
    bytes32 slot;
    /// Digest of the commitment that was audited.
    bytes32 commitment;
    uint256 reason;
    /// The step shifted by 32 bits, and the number.
    uint256 place;
}

/// @title Announcements, commitments and verdicts as they were signed.
/// @notice A body is read as far as the last field that is needed. What stands behind it is under the digest all
/// the same, however long it is.
library SignedTask {
    using CanonicalCbor for CanonicalCbor.Cursor;

    /// @notice An envelope is of another version or kind than is wanted there.
    error NotTheStatement(bytes3 found, bytes3 wanted);
    /// @notice An announcement is signed by somebody else than the coordinator that it names.
    error NotByCoordinator(address coordinator, address signer);

    /// @notice A verdict finds no fault, or not in one number.
    error NotAFinding(uint256 verdict, uint256 reason);

    uint8 internal constant ANNOUNCEMENT = 2;
    uint8 internal constant COMMITMENT = 4;
    uint8 internal constant VERDICT = 5;
    uint256 internal constant IMAGE_TO_IMAGE = 1;

    bytes32 private constant STATEMENT_TYPEHASH =
        keccak256("Statement(uint8 kind,bytes32 slot,bytes32 body)");

    /// @dev How envelopes begin: an array of four, version 1, the kind.
    bytes3 private constant ANNOUNCEMENT_ENVELOPE = 0x840102;
    bytes3 private constant COMMITMENT_ENVELOPE = 0x840104;
    bytes3 private constant VERDICT_ENVELOPE = 0x840105;
    uint256 private constant VERDICT_FIELDS = 9;
    /// @dev As the outcome of an audit.
    uint256 private constant FAULT = 1;
    uint256 private constant CHECKED_STEPS_MAX = 16;
    uint256 private constant SKETCH_BYTES_MAX = 16;
    uint256 private constant ANNOUNCEMENT_FIELDS = 14;
    uint256 private constant COMMITMENT_FIELDS = 6;
    uint256 private constant WORK_FIELDS = 3;
    uint256 private constant SIGNATURE_BYTES = 65;
    uint256 private constant ADDRESS_BYTES = 20;
    uint256 private constant DETAILS_BYTES_MAX = 256;
    uint256 private constant WORK_KIND_MAX = type(uint16).max;
    uint256 private constant UNITS_MAX = (1 << 24) - 1;
    uint256 private constant OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
    /// @dev No transaction carries a longer body.
    uint256 private constant BYTES_MAX = 1 << 32;
    uint256 private constant EPOCH_SHIFT = 64;

    /// @notice The EIP-712 digest of a statement.
    function digestOf(bytes32 domain, uint8 kind, bytes32 slot, bytes32 body)
        internal
        pure
        returns (bytes32)
    {
        bytes32 hash;
        bytes32 typehash = STATEMENT_TYPEHASH;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typehash)
            mstore(add(free, 32), kind)
            mstore(add(free, 64), slot)
            mstore(add(free, 96), body)
            hash := keccak256(free, 128)
        }
        return MessageHashUtils.toTypedDataHash(domain, hash);
    }

    /// @notice Reads the body of an announcement. It need not be signed where something signed names its digest.
    /// @param task To be filled.
    function readAnnouncement(Announcement memory task, bytes calldata body, bytes32 domain) internal pure {
        CanonicalCbor.Cursor memory cursor = CanonicalCbor.open(body);
        cursor.array(ANNOUNCEMENT_FIELDS, ANNOUNCEMENT_FIELDS);
        task.coordinator = address(bytes20(cursor.byteString(ADDRESS_BYTES, ADDRESS_BYTES)));
        task.epoch = cursor.unsigned(type(uint64).max);
        task.number = cursor.unsigned(type(uint64).max);
        task.previous = cursor.word();
        task.modelId = cursor.word();
        cursor.array(WORK_FIELDS, WORK_FIELDS);
        task.workKind = cursor.unsigned(WORK_KIND_MAX);
        task.units = cursor.unsigned(UNITS_MAX);
        bytes calldata details = cursor.byteString(0, DETAILS_BYTES_MAX);
        if (task.workKind <= IMAGE_TO_IMAGE) _readDetails(details, task);
        task.inputCommitment = cursor.word();
        task.slot = bytes32(task.epoch << EPOCH_SHIFT | task.number);
        task.digest = digestOf(domain, ANNOUNCEMENT, task.slot, keccak256(body));
    }

    /// @notice Reads the envelope of an announcement, which its coordinator has to have signed.
    /// @param task To be filled.
    function readSignedAnnouncement(Announcement memory task, bytes calldata envelope, bytes32 domain)
        internal
        pure
    {
        (bytes calldata body, bytes calldata signature) = _open(envelope, ANNOUNCEMENT_ENVELOPE);
        readAnnouncement(task, body, domain);
        address signer = ECDSA.recoverCalldata(task.digest, signature);
        if (signer != task.coordinator) revert NotByCoordinator(task.coordinator, signer);
    }

    /// @notice Reads the envelope of a commitment; whoever has signed it is the miner.
    /// @param commitment To be filled.
    function readCommitment(Commitment memory commitment, bytes calldata envelope, bytes32 domain)
        internal
        pure
    {
        (bytes calldata body, bytes calldata signature) = _open(envelope, COMMITMENT_ENVELOPE);
        CanonicalCbor.Cursor memory cursor = CanonicalCbor.open(body);
        cursor.array(COMMITMENT_FIELDS, COMMITMENT_FIELDS);
        commitment.taskId = cursor.word();
        cursor.word();
        cursor.unsigned(OUTPUT_BYTES_MAX);
        commitment.outputHash = cursor.word();
        commitment.traceRoot = cursor.word();
        commitment.unitsDone = cursor.unsigned(UNITS_MAX);
        cursor.close();
        commitment.digest = digestOf(domain, COMMITMENT, commitment.taskId, keccak256(body));
        commitment.miner = ECDSA.recoverCalldata(commitment.digest, signature);
    }

    /// @notice Reads the envelope of a verdict that finds a number of a latent false; whoever has signed it is
    /// the auditor.
    function readVerdict(bytes calldata envelope, bytes32 domain)
        internal
        pure
        returns (Finding memory finding)
    {
        (bytes calldata body, bytes calldata signature) = _open(envelope, VERDICT_ENVELOPE);
        CanonicalCbor.Cursor memory cursor = CanonicalCbor.open(body);
        cursor.array(VERDICT_FIELDS, VERDICT_FIELDS);
        bytes32 taskId = cursor.word();
        address miner = address(bytes20(cursor.byteString(ADDRESS_BYTES, ADDRESS_BYTES)));
        finding.slot = keccak256(abi.encode(taskId, miner));
        finding.commitment = cursor.word();
        uint256 verdict = cursor.unsigned(type(uint8).max);
        finding.reason = cursor.unsigned(type(uint8).max);
        if (verdict != FAULT) revert NotAFinding(verdict, finding.reason);
        for (uint256 checked = cursor.array(0, CHECKED_STEPS_MAX); checked != 0; --checked) {
            cursor.array(2, 2);
            cursor.unsigned(type(uint16).max);
            cursor.byteString(0, SKETCH_BYTES_MAX);
        }
        cursor.unsigned(type(uint32).max);
        if (cursor.array(0, 1) == 0) revert NotAFinding(verdict, finding.reason);
        cursor.array(3, 3);
        finding.place = cursor.unsigned(type(uint16).max) << 32;
        // The latent is tensor 0.
        cursor.unsigned(0);
        finding.place |= cursor.unsigned(type(uint32).max);
        cursor.word();
        cursor.close();
        bytes32 digest = digestOf(domain, VERDICT, finding.slot, keccak256(body));
        finding.auditor = ECDSA.recoverCalldata(digest, signature);
    }

    function _open(bytes calldata envelope, bytes3 wanted)
        private
        pure
        returns (bytes calldata body, bytes calldata signature)
    {
        // An array of four, of which the first two are small: three bytes that have one form.
        bytes3 found = bytes3(envelope);
        if (found != wanted) revert NotTheStatement(found, wanted);
        CanonicalCbor.Cursor memory cursor = CanonicalCbor.open(envelope[3:]);
        body = cursor.byteString(1, BYTES_MAX);
        signature = cursor.byteString(SIGNATURE_BYTES, SIGNATURE_BYTES);
        cursor.close();
    }

    function _readDetails(bytes calldata details, Announcement memory task) private pure {
        CanonicalCbor.Cursor memory cursor = CanonicalCbor.open(details);
        cursor.array(2, 2);
        task.width = cursor.unsigned(type(uint16).max);
        task.height = cursor.unsigned(type(uint16).max);
        cursor.close();
    }
}

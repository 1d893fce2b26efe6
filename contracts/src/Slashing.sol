// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Evidence, ISlashing} from "./interfaces/ISlashing.sol";
import {IStaking, JAIL_FOREVER} from "./interfaces/IStaking.sol";
import {Faults, Offence} from "./libraries/Faults.sol";
import {SignedTask} from "./libraries/SignedTask.sol";

/// @title Penalties for what can be proved by what was signed alone.
/// @notice Its EIP-712 domain is the one in which every message of the network is signed, so statements are
/// evidence as they stand. Two that contradict each other are compared, and never parsed; what one statement
/// commits to is followed down to the number that is false. No judge, no bond, no owner.
contract Slashing is ISlashing, EIP712 {
    /// @dev One slot, so that all that a report writes here costs one. The reward counts in whole micro-CAI.
    struct PackedEvidence {
        address reporter;
        uint40 since;
        uint56 rewardMicro;
    }

    /// @inheritdoc ISlashing
    uint256 public constant EQUIVOCATION_PENALTY = 10_000;
    /// @inheritdoc ISlashing
    uint256 public constant REPORTER_SHARE = 1_000;
    /// @inheritdoc ISlashing
    uint256 public immutable PRIORITY_BLOCKS;

    uint8 private constant FIRST_UNSLASHABLE_KIND = 64;
    uint256 private constant MICRO = 1e12;
    /// @dev Begins the key of a fault, which must not be that of an equivocation.
    bytes32 private constant FAULT = keccak256("cuckoo/fault/1");
    uint256 private constant MAX_PRIORITY_BLOCKS = 100_000;
    /// @dev Part of the time for commitments in which the reporter alone may show one.
    uint256 private constant SETTLING_PART = 4;
    /// @dev A commitment so old at the report cannot be made by who sees the report and holds it back for a while.
    uint256 private constant MAX_DEPTH = 8;

    /// @inheritdoc ISlashing
    address public immutable STAKING;

    /// @inheritdoc ISlashing
    mapping(bytes32 commitment => uint256 blockNumber) public committedAt;

    mapping(bytes32 evidenceKey => PackedEvidence) private _evidence;

    /// @param staking Must have been deployed with this contract's future address as its slasher.
    /// @param priorityBlocks 1 to 100,000: enough for a commitment and a report to be mined, on a chain with a
    /// block every second or many a second as well.
    constructor(address staking, uint256 priorityBlocks) EIP712("Cuckoo", "1") {
        address expected = IStaking(staking).SLASHING();
        if (expected != address(this)) revert NotTheSlasher(expected);
        if (priorityBlocks == 0 || priorityBlocks > MAX_PRIORITY_BLOCKS) {
            revert PriorityOutOfBounds(priorityBlocks);
        }
        STAKING = staking;
        PRIORITY_BLOCKS = priorityBlocks;
    }

    /// @inheritdoc ISlashing
    function equivocation(
        uint8 kind,
        bytes32 slot,
        bytes32 bodyA,
        bytes calldata signatureA,
        bytes32 bodyB,
        bytes calldata signatureB
    ) external {
        address signer = _signerOfBoth(kind, slot, bodyA, signatureA, bodyB, signatureB);
        bytes32 evidenceKey = evidenceKeyOf(signer, kind, slot);
        if (_evidence[evidenceKey].reporter != address(0)) revert EvidenceSpent(signer, kind, slot);
        emit Equivocation(signer, kind, slot, msg.sender, _punish(signer, evidenceKey));
    }

    /// @inheritdoc ISlashing
    function proveFault(bytes calldata evidence) external {
        Offence memory offence = Faults.judge(evidence, _domainSeparatorV4());
        bytes32 offenceKey = offenceKeyOf(offence.fault, offence.signer, offence.slot);
        if (_evidence[offenceKey].reporter != address(0)) {
            revert OffenceSpent(offence.fault, offence.signer, offence.slot);
        }
        uint256 reward = _punish(offence.signer, offenceKey);
        emit FaultProved(offence.signer, offence.fault, offence.slot, msg.sender, reward);
    }

    /// @inheritdoc ISlashing
    function claimReward(bytes32 evidenceKey) external returns (uint256 reward) {
        PackedEvidence storage evidence = _evidence[evidenceKey];
        reward = evidence.rewardMicro * MICRO;
        if (reward == 0) revert NothingToClaim(evidenceKey);
        uint256 since = evidence.since;
        uint256 lastBlock = since + PRIORITY_BLOCKS;
        if (since != 0 && block.number <= lastBlock) revert PriorityOpen(lastBlock);
        evidence.rewardMicro = 0;
        address reporter = evidence.reporter;
        emit RewardClaimed(evidenceKey, reporter, reward);
        IStaking(STAKING).payReward(reporter, reward);
    }

    /// @inheritdoc ISlashing
    function commitEvidence(bytes32 commitment) external {
        // Whoever copies a commitment cannot use it, and must not be able to make it younger.
        if (committedAt[commitment] == 0) committedAt[commitment] = block.number;
        emit EvidenceCommitted(commitment, msg.sender);
    }

    /// @inheritdoc ISlashing
    function takePriority(
        uint8 kind,
        bytes32 slot,
        bytes32 bodyA,
        bytes calldata signatureA,
        bytes32 bodyB,
        bytes calldata signatureB,
        bytes32 salt
    ) external {
        address signer = _signerOfBoth(kind, slot, bodyA, signatureA, bodyB, signatureB);
        bytes32 evidenceHash = evidenceHashOf(kind, slot, bodyA, signatureA, bodyB, signatureB);
        _takePriority(evidenceKeyOf(signer, kind, slot), evidenceHash, salt);
    }

    /// @inheritdoc ISlashing
    function takeFaultPriority(bytes calldata evidence, bytes32 salt) external {
        Offence memory offence = Faults.judge(evidence, _domainSeparatorV4());
        bytes32 offenceKey = offenceKeyOf(offence.fault, offence.signer, offence.slot);
        _takePriority(offenceKey, keccak256(evidence), salt);
    }

    /// @inheritdoc ISlashing
    function judgeFault(bytes calldata evidence)
        external
        view
        returns (uint8 fault, address signer, bytes32 slot)
    {
        Offence memory offence = Faults.judge(evidence, _domainSeparatorV4());
        return (offence.fault, offence.signer, offence.slot);
    }

    /// @inheritdoc ISlashing
    function isEvidenceSpent(address signer, uint8 kind, bytes32 slot) external view returns (bool) {
        return _evidence[evidenceKeyOf(signer, kind, slot)].reporter != address(0);
    }

    /// @inheritdoc ISlashing
    function evidenceOf(bytes32 evidenceKey) external view returns (Evidence memory) {
        PackedEvidence storage evidence = _evidence[evidenceKey];
        return
            Evidence({
                reporter: evidence.reporter, since: evidence.since, reward: evidence.rewardMicro * MICRO
            });
    }

    /// @inheritdoc ISlashing
    function statementDigest(uint8 kind, bytes32 slot, bytes32 body) public view returns (bytes32) {
        return SignedTask.digestOf(_domainSeparatorV4(), kind, slot, body);
    }

    /// @inheritdoc ISlashing
    function evidenceKeyOf(address signer, uint8 kind, bytes32 slot) public pure returns (bytes32) {
        return keccak256(abi.encode(signer, kind, slot));
    }

    /// @inheritdoc ISlashing
    function offenceKeyOf(uint8 fault, address signer, bytes32 slot) public pure returns (bytes32) {
        return keccak256(abi.encode(FAULT, fault, signer, slot));
    }

    /// @inheritdoc ISlashing
    function evidenceHashOf(
        uint8 kind,
        bytes32 slot,
        bytes32 bodyA,
        bytes calldata signatureA,
        bytes32 bodyB,
        bytes calldata signatureB
    ) public pure returns (bytes32) {
        bytes32 first = keccak256(signatureA);
        return keccak256(abi.encode(kind, slot, bodyA, first, bodyB, keccak256(signatureB)));
    }

    /// @inheritdoc ISlashing
    function commitmentOf(address reporter, bytes32 evidenceHash, bytes32 salt)
        public
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(reporter, evidenceHash, salt));
    }

    /// @dev Takes the stake of who is guilty, and enters the evidence.
    function _punish(address signer, bytes32 key) private returns (uint256 reward) {
        // Reverts if the signer is not registered: it may register later. It calls nobody, so the evidence need
        // not be entered before it.
        (, reward) = IStaking(STAKING).slash(signer, EQUIVOCATION_PENALTY, REPORTER_SHARE, JAIL_FOREVER);
        uint56 rewardMicro = SafeCast.toUint56(reward / MICRO);
        _evidence[key] =
            PackedEvidence({reporter: msg.sender, since: uint40(block.number), rewardMicro: rewardMicro});
        return rewardMicro * MICRO;
    }

    function _takePriority(bytes32 key, bytes32 evidenceHash, bytes32 salt) private {
        PackedEvidence storage evidence = _evidence[key];
        address from = evidence.reporter;
        if (from == address(0)) revert NothingToClaim(key);
        uint256 since = evidence.since;
        uint256 committed = committedAt[commitmentOf(msg.sender, evidenceHash, salt)];
        bool earlier = committed != 0 && committed < since;
        if (!earlier || block.number > committed + PRIORITY_BLOCKS) revert NoPriority(committed, since);
        if (msg.sender == from) {
            // Who has committed and reported keeps the reward: no commitment is older than block 0.
            if (committed + _depth() <= since) committed = 0;
        } else {
            uint256 reporters = since + PRIORITY_BLOCKS / SETTLING_PART;
            if (block.number <= reporters) revert PriorityOpen(reporters);
            evidence.reporter = msg.sender;
        }
        evidence.since = uint40(committed);
        emit PriorityTaken(key, from, msg.sender);
    }

    /// @dev Blocks from a commitment to the report after which nobody takes the reward any more. Where priority is
    /// short none: an earlier block it is in any case.
    function _depth() private view returns (uint256) {
        uint256 depth = PRIORITY_BLOCKS / MAX_DEPTH;
        return depth < MAX_DEPTH ? depth : MAX_DEPTH;
    }

    /// @dev Reverts unless the two statements are evidence.
    function _signerOfBoth(
        uint8 kind,
        bytes32 slot,
        bytes32 bodyA,
        bytes calldata signatureA,
        bytes32 bodyB,
        bytes calldata signatureB
    ) private view returns (address signer) {
        if (kind >= FIRST_UNSLASHABLE_KIND) revert KindNotSlashable(kind);
        if (bodyA == bodyB) revert SameStatement();
        // Both recoveries refuse a high s, a v other than 27 and 28, and the zero address.
        bytes32 domain = _domainSeparatorV4();
        signer = ECDSA.recoverCalldata(SignedTask.digestOf(domain, kind, slot, bodyA), signatureA);
        address signerB = ECDSA.recoverCalldata(SignedTask.digestOf(domain, kind, slot, bodyB), signatureB);
        if (signer != signerB) revert DifferentSigners(signer, signerB);
    }
}

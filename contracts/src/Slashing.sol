// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ISlashing} from "./interfaces/ISlashing.sol";
import {IStaking, JAIL_FOREVER} from "./interfaces/IStaking.sol";

/// @title Penalties for what can be proved by signatures alone.
/// @notice Its EIP-712 domain is the one in which every message of the network is signed, so any two
/// statements that contradict each other are evidence as they stand. The contract reads kind and slot and
/// compares bodies; it never parses a message. No judge, no bond, no owner.
contract Slashing is ISlashing, EIP712 {
    /// @inheritdoc ISlashing
    uint256 public constant EQUIVOCATION_PENALTY = 10_000;
    /// @inheritdoc ISlashing
    /// @dev Well below the penalty, so that reporting oneself is no way to save a stake.
    uint256 public constant REPORTER_SHARE = 1_000;

    uint8 private constant FIRST_UNSLASHABLE_KIND = 64;
    bytes32 private constant STATEMENT_TYPEHASH =
        keccak256("Statement(uint8 kind,bytes32 slot,bytes32 body)");

    /// @inheritdoc ISlashing
    address public immutable STAKING;

    mapping(bytes32 evidenceKey => bool) private _spent;

    /// @param staking Must have been deployed with this contract's future address as its slasher.
    constructor(address staking) EIP712("Cuckoo", "1") {
        address expected = IStaking(staking).SLASHING();
        if (expected != address(this)) revert NotTheSlasher(expected);
        STAKING = staking;
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
        if (kind >= FIRST_UNSLASHABLE_KIND) revert KindNotSlashable(kind);
        if (bodyA == bodyB) revert SameStatement();
        // Both recoveries refuse a high s, a v other than 27 and 28, and the zero address.
        address signer = ECDSA.recoverCalldata(statementDigest(kind, slot, bodyA), signatureA);
        address signerB = ECDSA.recoverCalldata(statementDigest(kind, slot, bodyB), signatureB);
        if (signer != signerB) revert DifferentSigners(signer, signerB);

        bytes32 evidenceKey = keccak256(abi.encode(signer, kind, slot));
        if (_spent[evidenceKey]) revert EvidenceSpent(signer, kind, slot);
        _spent[evidenceKey] = true;
        // Reverts if the signer is not registered, which undoes the entry above: it may register later.
        (uint256 taken, uint256 reward) =
            IStaking(STAKING).slash(signer, EQUIVOCATION_PENALTY, REPORTER_SHARE, JAIL_FOREVER);
        IStaking(STAKING).payReward(msg.sender, reward);
        emit Equivocation(signer, kind, slot, msg.sender, taken, reward);
    }

    /// @inheritdoc ISlashing
    function statementDigest(uint8 kind, bytes32 slot, bytes32 body) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(STATEMENT_TYPEHASH, kind, slot, body)));
    }

    /// @inheritdoc ISlashing
    function isEvidenceSpent(address signer, uint8 kind, bytes32 slot) external view returns (bool) {
        return _spent[keccak256(abi.encode(signer, kind, slot))];
    }
}

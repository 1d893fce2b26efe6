// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Penalties for what can be proved by signatures alone.
interface ISlashing {
    /// @notice A node has made two different statements for one slot.
    event Equivocation(
        address indexed signer,
        uint8 indexed kind,
        bytes32 indexed slot,
        address reporter,
        uint256 taken,
        uint256 reward
    );

    /// @notice The staking contract trusts another slasher.
    error NotTheSlasher(address expected);
    /// @notice Statements of kind 64 and above may honestly be made twice.
    error KindNotSlashable(uint8 kind);
    /// @notice One statement proves nothing, however often it is signed.
    error SameStatement();
    /// @notice The statements are by different keys, or one of them is not what was signed.
    error DifferentSigners(address signerA, address signerB);
    /// @notice Each piece of evidence counts once.
    error EvidenceSpent(address signer, uint8 kind, bytes32 slot);

    /// @notice Proves that one key has signed two statements with the same kind and slot and different
    /// bodies. Takes its whole stake, own, voters' and unbonding, and jails it for good; credits the
    /// caller with `REPORTER_SHARE` of it and burns the rest.
    /// @param kind Of both statements, below 64.
    /// @param slot Of both statements.
    /// @param bodyA Hash of the first body.
    /// @param signatureA 65 bytes r‖s‖v, v 27 or 28, low s, over `statementDigest(kind, slot, bodyA)`.
    /// @param bodyB Hash of the second body.
    /// @param signatureB As `signatureA`, for `bodyB`.
    function equivocation(
        uint8 kind,
        bytes32 slot,
        bytes32 bodyA,
        bytes calldata signatureA,
        bytes32 bodyB,
        bytes calldata signatureB
    ) external;

    /// @notice The EIP-712 digest of `Statement(uint8 kind,bytes32 slot,bytes32 body)`.
    /// @param kind What sort of statement it is.
    /// @param slot The one thing about which a signer may say only one thing.
    /// @param body Hash of the body's bytes.
    function statementDigest(uint8 kind, bytes32 slot, bytes32 body) external view returns (bytes32);

    /// @notice Whether an equivocation has been punished.
    /// @param signer The node key.
    /// @param kind Of its statements.
    /// @param slot Of its statements.
    function isEvidenceSpent(address signer, uint8 kind, bytes32 slot) external view returns (bool);

    /// @notice The staking contract whose slasher this is.
    function STAKING() external view returns (address);

    /// @notice The part of a node's stake that an equivocation costs, in basis points.
    function EQUIVOCATION_PENALTY() external view returns (uint256);

    /// @notice The reporter's part of what is taken, in basis points.
    function REPORTER_SHARE() external view returns (uint256);
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {INodeRegistry, Role} from "./interfaces/INodeRegistry.sol";

/// @title The list of node keys.
/// @notice A registration is never undone, so evidence against a node always finds whom it is about.
abstract contract NodeRegistry is INodeRegistry, EIP712 {
    /// @dev Whether a node takes part. Whoever has left never does again. A key that has stake and is not
    /// registered has a slot already, so that its registration makes none.
    enum Status {
        Inactive,
        Active,
        Left,
        Made
    }

    /// @dev One slot.
    struct Node {
        address owner;
        Role role;
        Status status;
        uint24 leaf;
        uint40 jailedUntil;
        uint16 commission; // of what the node earns, in basis points
    }

    /// @inheritdoc INodeRegistry
    uint256 public constant MAX_METADATA_BYTES = 512;

    /// @dev No nonce: a key registers once, so a consent cannot be used again.
    bytes32 private constant CONSENT_TYPEHASH =
        keccak256("Consent(address owner,address node,uint8 role,uint256 deadline)");

    /// @dev One more than that in which metadata was replaced; 0 if it is that of the registration.
    mapping(address node => uint256 epoch) internal _metadataEpochs;
    mapping(address node => Node) internal _nodes;

    modifier onlyOwnerOf(address node) {
        _requireOwner(node, msg.sender);
        _;
    }

    /// @inheritdoc INodeRegistry
    function ownerOf(address node) external view returns (address) {
        return _nodes[node].owner;
    }

    /// @inheritdoc INodeRegistry
    function roleOf(address node) external view returns (Role) {
        return _nodes[node].role;
    }

    /// @inheritdoc INodeRegistry
    function leafOf(address node) external view returns (uint32) {
        _requireRegistered(node);
        return _nodes[node].leaf;
    }

    /// @inheritdoc INodeRegistry
    function consentDigest(address owner, address node, Role role, uint256 deadline)
        public
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(keccak256(abi.encode(CONSENT_TYPEHASH, owner, node, uint8(role), deadline)));
    }

    /// @dev Checks everything about a registration but its stake.
    function _checkRegistration(
        Role role,
        address node,
        string calldata metadata,
        uint256 deadline,
        bytes calldata consentSignature
    ) internal view {
        if (role == Role.None) revert RoleRequired();
        Node storage record = _nodes[node];
        if (record.status == Status.Left) revert NodeHasLeft(node);
        if (record.owner != address(0)) revert AlreadyRegistered(node);
        _requireMetadataFits(metadata);
        if (block.timestamp > deadline) revert ConsentExpired(deadline);
        // ECDSA refuses a high s, a v other than 27 and 28, and the zero address.
        address signer =
            ECDSA.recoverCalldata(consentDigest(msg.sender, node, role, deadline), consentSignature);
        if (signer != node) revert ConsentNotByNode(node, signer);
    }

    function _requireOwner(address node, address account) internal view {
        _requireRegistered(node);
        if (_nodes[node].owner != account) revert NotOwner(node, account);
    }

    function _requireRegistered(address node) internal view {
        if (_nodes[node].owner == address(0)) revert NotRegistered(node);
    }

    function _requireMetadataFits(string calldata metadata) internal pure {
        uint256 length = bytes(metadata).length;
        if (length > MAX_METADATA_BYTES) revert MetadataTooLong(length, MAX_METADATA_BYTES);
    }

    function _loadNode(address node) internal view returns (Node memory) {
        return _nodes[node];
    }

    function _storeNode(address node, Node memory record) internal {
        _nodes[node] = record;
    }
}

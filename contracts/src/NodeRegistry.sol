// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {INodeRegistry, Role} from "./interfaces/INodeRegistry.sol";

/// @title The list of node keys.
/// @notice A registration is never undone, so evidence against a node always finds whom it is about.
abstract contract NodeRegistry is INodeRegistry, EIP712 {
    struct Registration {
        address owner;
        Role role;
        string metadata;
    }

    /// @inheritdoc INodeRegistry
    uint256 public constant MAX_METADATA_BYTES = 512;

    /// @dev No nonce: a key registers once, so a consent cannot be used again.
    bytes32 private constant CONSENT_TYPEHASH =
        keccak256("Consent(address owner,address node,uint8 role,uint256 deadline)");

    mapping(address node => Registration) internal _registrations;
    address[] private _nodes;

    modifier onlyOwnerOf(address node) {
        _requireOwner(node, msg.sender);
        _;
    }

    /// @inheritdoc INodeRegistry
    function setMetadata(address node, string calldata metadata) external onlyOwnerOf(node) {
        _requireMetadataFits(metadata);
        _registrations[node].metadata = metadata;
        emit MetadataChanged(node, metadata);
    }

    /// @inheritdoc INodeRegistry
    function ownerOf(address node) public view returns (address) {
        return _registrations[node].owner;
    }

    /// @inheritdoc INodeRegistry
    function nodeCount() public view returns (uint256) {
        return _nodes.length;
    }

    /// @inheritdoc INodeRegistry
    function nodesPage(uint256 start, uint256 count) public view returns (address[] memory nodes) {
        uint256 end = Math.saturatingAdd(start, count);
        if (end > _nodes.length) end = _nodes.length;
        if (start >= end) return nodes;
        nodes = new address[](end - start);
        for (uint256 i = 0; i < nodes.length; ++i) {
            nodes[i] = _nodes[start + i];
        }
    }

    /// @inheritdoc INodeRegistry
    function consentDigest(address owner, address node, Role role, uint256 deadline)
        public
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(keccak256(abi.encode(CONSENT_TYPEHASH, owner, node, uint8(role), deadline)));
    }

    /// @dev Checks everything about a registration but its stake, and enters it.
    function _enterNode(
        Role role,
        address node,
        string calldata metadata,
        uint256 deadline,
        bytes calldata consentSignature
    ) internal {
        if (role == Role.None) revert RoleRequired();
        if (ownerOf(node) != address(0)) revert AlreadyRegistered(node);
        _requireMetadataFits(metadata);
        if (block.timestamp > deadline) revert ConsentExpired(deadline);
        // ECDSA refuses a high s, a v other than 27 and 28, and the zero address.
        address signer =
            ECDSA.recoverCalldata(consentDigest(msg.sender, node, role, deadline), consentSignature);
        if (signer != node) revert ConsentNotByNode(node, signer);

        _registrations[node] = Registration({owner: msg.sender, role: role, metadata: metadata});
        _nodes.push(node);
        emit NodeRegistered(node, msg.sender, role, metadata);
    }

    function _requireOwner(address node, address account) private view {
        address owner = ownerOf(node);
        if (owner == address(0)) revert NotRegistered(node);
        if (owner != account) revert NotOwner(node, account);
    }

    function _requireMetadataFits(string calldata metadata) private pure {
        uint256 length = bytes(metadata).length;
        if (length > MAX_METADATA_BYTES) revert MetadataTooLong(length, MAX_METADATA_BYTES);
    }
}

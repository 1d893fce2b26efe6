// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What a node key is registered as, once and for good.
enum Role {
    None,
    Miner,
    Coordinator
}

/// @title The list of node keys: who owns each, and as what it takes part.
/// @notice The owner is a cold wallet that holds the money; the node key is hot and signs messages only.
interface INodeRegistry {
    /// @notice A node key has been registered.
    event NodeRegistered(address indexed node, address indexed owner, Role indexed role, string metadata);
    /// @notice The owner has replaced the description of its node.
    event MetadataChanged(address indexed node, string metadata);

    /// @notice The role has to be Miner or Coordinator.
    error RoleRequired();
    /// @notice A node key registers once.
    error AlreadyRegistered(address node);
    /// @notice No such node.
    error NotRegistered(address node);
    /// @notice The node's owner is another account.
    error NotOwner(address node, address account);
    /// @notice The consent is older than its deadline, a timestamp in seconds.
    error ConsentExpired(uint256 deadline);
    /// @notice The consent was signed by `signer` instead of `node`, or says something else.
    error ConsentNotByNode(address node, address signer);
    /// @notice Metadata of at most `limit` bytes.
    error MetadataTooLong(uint256 length, uint256 limit);

    /// @notice Replaces the metadata of a node. Only its owner may.
    /// @param node The node key.
    /// @param metadata At most `MAX_METADATA_BYTES`, UTF-8 by convention.
    function setMetadata(address node, string calldata metadata) external;

    /// @notice The EIP-712 digest that a node key signs to let `owner` register it.
    /// @param owner The account that will call `register`.
    /// @param node The node key.
    /// @param role Miner or Coordinator.
    /// @param deadline Timestamp in seconds until which the consent holds.
    function consentDigest(address owner, address node, Role role, uint256 deadline)
        external
        view
        returns (bytes32);

    /// @notice The owner of a node; zero if it is not registered.
    /// @param node The node key.
    function ownerOf(address node) external view returns (address);

    /// @notice How many nodes have ever been registered.
    function nodeCount() external view returns (uint256);

    /// @notice Part of the list of nodes, in the order of registration. The list only grows.
    /// @param start Position of the first one; beyond the end gives an empty page.
    /// @param count At most so many.
    function nodesPage(uint256 start, uint256 count) external view returns (address[] memory nodes);

    /// @notice The most that metadata may be, in bytes.
    function MAX_METADATA_BYTES() external view returns (uint256);
}

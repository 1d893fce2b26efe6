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
/// The list and the introductions are in the events; on the chain is only what contracts have to know.
interface INodeRegistry {
    /// @notice A node key has been registered.
    /// @param node The node key.
    /// @param owner Who registered it, and whose own stake counts.
    /// @param role Miner or Coordinator.
    /// @param leaf Its place in the tree from which jurors are drawn; counted from 0, without gaps.
    /// @param epoch The current epoch: it weighs nothing in the draws up to it.
    /// @param weight What it weighs from now on, in whole micro-CAI.
    event NodeRegistered(
        address indexed node,
        address indexed owner,
        Role indexed role,
        uint32 leaf,
        uint256 epoch,
        uint64 weight
    );
    /// @notice A node's introduction, by convention a small JSON text: name, URL, models. The first one comes with
    /// the registration; apart from it, since peers have to follow registrations and nobody has to follow this.
    event MetadataChanged(address indexed node, string metadata);
    /// @notice The owner has taken its node off the network, for good.
    event NodeDeregistered(address indexed node);

    /// @notice The role has to be Miner or Coordinator.
    error RoleRequired();
    /// @notice A node key registers once.
    error AlreadyRegistered(address node);
    /// @notice No such node.
    error NotRegistered(address node);
    /// @notice The node has left, and a key never registers twice.
    error NodeHasLeft(address node);
    /// @notice The node's owner is another account.
    error NotOwner(address node, address account);
    /// @notice The consent is older than its deadline, a timestamp in seconds.
    error ConsentExpired(uint256 deadline);
    /// @notice The consent was signed by `signer` instead of `node`, or says something else.
    error ConsentNotByNode(address node, address signer);
    /// @notice The introduction was changed in this epoch before.
    error MetadataSet(address node, uint256 epoch);
    /// @notice Metadata of at most `limit` bytes.
    error MetadataTooLong(uint256 length, uint256 limit);

    /// @notice Replaces the introduction of an active node, once an epoch. Only its owner may.
    /// @param node The node key.
    /// @param metadata At most `MAX_METADATA_BYTES`, UTF-8 by convention. It is emitted, not stored.
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

    /// @notice The owner of a node; zero if it was never registered.
    /// @param node The node key.
    function ownerOf(address node) external view returns (address);

    /// @notice The epoch in which a node's introduction was last told: where to look for it among the events.
    /// Reverts with `NotRegistered`.
    /// @param node The node key.
    function metadataEpoch(address node) external view returns (uint256);

    /// @notice The role of a node, for good; `None` if it was never registered.
    /// @param node The node key.
    function roleOf(address node) external view returns (Role);

    /// @notice A node's place in the tree from which jurors are drawn. Reverts with `NotRegistered`.
    /// @param node The node key.
    function leafOf(address node) external view returns (uint32);

    /// @notice How many nodes have ever been registered.
    function nodeCount() external view returns (uint256);

    /// @notice The most that metadata may be, in bytes.
    function MAX_METADATA_BYTES() external view returns (uint256);
}

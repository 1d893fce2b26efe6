// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEpochs} from "./IEpochs.sol";

/// @title The weight of a node in draws: now, at the start of any past epoch, and in the tree of jurors.
/// @notice A node's weight is its stake in whole micro-CAI (1e12 wei), rounded down, while it is active, else 0.
/// In the tree it counts in whole CAI, and only its leaf and the words above it are stored.
///
/// Rebuilding it from events: a node's weight at the start of epoch `e` is that of its newest `WeightChanged`
/// (or `NodeRegistered`) of an earlier epoch, or 0. Its leaf weighs that of the newest one, in whole CAI, unless a
/// `LeafDeferred` of the same transaction says that the leaf stays behind; then until the node's `LeafSynced`
/// or its next `WeightChanged` without a `LeafDeferred`.
interface IWeights is IEpochs {
    /// @notice A node weighs this much from now on, and in the draws from the epoch after this one.
    /// @param node The node key.
    /// @param epoch The current epoch.
    /// @param weight In whole micro-CAI.
    event WeightChanged(address indexed node, uint256 epoch, uint64 weight);
    /// @notice The tree was locked (or is full): the node's leaf keeps its weight until `syncLeaf`.
    event LeafDeferred(address indexed node);
    /// @notice A leaf that stayed behind now has its node's weight, in whole CAI.
    event LeafSynced(address indexed node, uint32 weight);
    /// @notice The tree does not change in blocks after `fromBlock` and up to `untilBlock`.
    event WeightsLocked(uint256 fromBlock, uint256 untilBlock);
    /// @notice The tree changes again.
    event WeightsUnlocked();

    /// @notice The epoch has not begun, so weights at its start may still change.
    error EpochNotStarted(uint256 epoch, uint256 currentEpoch);
    /// @notice The node's weight has changed in `KEPT_EPOCHS` epochs since; its events still tell.
    error WeightForgotten(address node, uint256 epoch);
    /// @notice The tree is locked up to and with this block.
    error WeightsAreLocked(uint256 untilBlock);
    /// @notice A lock begins now or at most `MAX_LOCK_BLOCKS` later, and locks in a row last at most
    /// `MAX_LOCKED_BLOCKS`.
    error LockOutOfBounds(uint256 fromBlock, uint256 untilBlock);
    /// @notice Nobody can be drawn.
    error NoWeight();
    /// @notice Only this contract may do that.
    error OnlyFor(address expected, address caller);

    /// @notice Keeps the tree as it is at the end of `fromBlock`, the block whose hash decides a draw, so that
    /// nobody who knows the hash can move stake to where it is drawn. Only `DISPUTES`, once for each draw.
    /// It ends by `unlockWeights`, or by itself `MAX_LOCK_BLOCKS` after `fromBlock`, when that hash cannot be
    /// read any more. Called during a lock, or while one is to come, it prolongs that one: the tree stays as it
    /// was at the end of the first one's `fromBlock`. Stake, weights for the epochs and slashes are not held
    /// up; only leaves stay behind.
    /// @param fromBlock From this block to `MAX_LOCK_BLOCKS` later.
    /// @return untilBlock The last block of the lock.
    function lockWeights(uint256 fromBlock) external returns (uint256 untilBlock);

    /// @notice Ends the lock, when nobody waits for a draw any more. Harmless without one. Only `DISPUTES`.
    function unlockWeights() external;

    /// @notice Brings a leaf that stayed behind to its node's weight. Anybody may, unless the tree is locked.
    /// @param node A registered node.
    function syncLeaf(address node) external;

    /// @notice Draws a leaf of the tree by weight. Leaves of weight 0 are never drawn. Reverts with `NoWeight`.
    /// @param random Any number, evenly distributed; the bias of its remainder is below 2^-220.
    /// @return leaf As in `leafOf(node)`.
    /// @return weight Of the leaf, in whole CAI.
    function drawLeaf(uint256 random) external view returns (uint32 leaf, uint64 weight);

    /// @notice The weight of a leaf in the tree, in whole CAI.
    /// @param leaf As in `leafOf(node)`.
    function leafWeight(uint32 leaf) external view returns (uint64);

    /// @notice The weight of all leaves, in whole CAI: the root of the tree.
    function totalWeight() external view returns (uint256);

    /// @notice The blocks after `fromBlock` up to `untilBlock` in which the tree does not change; zeros if
    /// there is no such time now or to come.
    function weightsLock() external view returns (uint256 fromBlock, uint256 untilBlock);

    /// @notice What a node weighs now, in whole micro-CAI.
    /// @param node The node key.
    function weightOf(address node) external view returns (uint64);

    /// @notice What a node weighed when an epoch began, in whole micro-CAI. It never changes, and can be read
    /// for the current epoch and at least `KEPT_EPOCHS - 1` before it: until the weight has changed in
    /// `KEPT_EPOCHS` epochs since. Then it reverts with `WeightForgotten`.
    /// @param node The node key.
    /// @param epoch The current one or an earlier one.
    function weightAt(address node, uint256 epoch) external view returns (uint64);

    /// @notice What many nodes weighed when an epoch began: a snapshot, with the nodes from the events.
    /// @param nodes Node keys, as many as fit into a call; some 10,000 gas each.
    /// @param epoch As in `weightAt`; it reverts if one of them cannot be read any more.
    function weightsAt(address[] calldata nodes, uint256 epoch) external view returns (uint64[] memory);

    /// @notice May lock weights, and slash: what a jury finds.
    function DISPUTES() external view returns (address);

    /// @notice The most blocks of one lock after its `fromBlock`: as long as a block's hash can be read.
    function MAX_LOCK_BLOCKS() external view returns (uint256);

    /// @notice The most blocks of all locks in a row.
    function MAX_LOCKED_BLOCKS() external view returns (uint256);

    /// @notice The changes of a node's weight, at most one an epoch, of which the chain keeps what was before.
    function KEPT_EPOCHS() external view returns (uint256);
}

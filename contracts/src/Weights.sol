// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Epochs} from "./Epochs.sol";
import {NodeRegistry} from "./NodeRegistry.sol";
import {StakingStorage} from "./StakingStorage.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {IWeights} from "./interfaces/IWeights.sol";
import {SumTree} from "./libraries/SumTree.sol";
import {WeightHistory} from "./libraries/WeightHistory.sol";

/// @title The weight of a node in draws.
/// @notice A weight is not stored: it is the stake of an active node. Stored are what it was when past epochs
/// began, and the tree, in which a leaf stays behind for as long as a draw is under way.
abstract contract Weights is IWeights, StakingStorage, NodeRegistry, Epochs {
    using SumTree for SumTree.Tree;
    using WeightHistory for WeightHistory.History;

    /// @inheritdoc IWeights
    uint256 public constant MAX_LOCK_BLOCKS = 256;
    /// @inheritdoc IWeights
    /// @dev A day of Ethereum's blocks. Locks in a row let those who leave be drawn for that long.
    uint256 public constant MAX_LOCKED_BLOCKS = 7_200;
    /// @inheritdoc IWeights
    uint256 public constant KEPT_EPOCHS = WeightHistory.ENTRIES;

    uint256 internal constant WEI_PER_WEIGHT = 1e12;
    uint256 private constant WEIGHT_PER_LEAF_WEIGHT = 1e6;

    /// @inheritdoc IWeights
    address public immutable DISPUTES;

    constructor(address disputes) {
        DISPUTES = disputes;
        // Slots that the first to register would pay for.
        _tree.make();
        _shared.lockFrom = 1;
    }

    /// @inheritdoc IWeights
    function lockWeights(uint256 fromBlock) external returns (uint256 untilBlock) {
        _requireCaller(DISPUTES);
        untilBlock = fromBlock + MAX_LOCK_BLOCKS;
        (uint256 lockFrom, uint256 lockUntil) = weightsLock();
        if (lockUntil == 0) lockFrom = fromBlock;
        if (fromBlock < lockFrom) lockFrom = fromBlock;
        if (untilBlock < lockUntil) untilBlock = lockUntil;
        bool inTime = fromBlock >= block.number && fromBlock <= block.number + MAX_LOCK_BLOCKS;
        if (!inTime || untilBlock - lockFrom > MAX_LOCKED_BLOCKS) {
            revert LockOutOfBounds(fromBlock, untilBlock);
        }
        _shared.lockFrom = SafeCast.toUint32(lockFrom - GENESIS_BLOCK);
        _shared.lockBlocks = SafeCast.toUint16(untilBlock - lockFrom);
        emit WeightsLocked(lockFrom, untilBlock);
    }

    /// @inheritdoc IWeights
    function unlockWeights() external {
        _requireCaller(DISPUTES);
        if (_shared.lockBlocks == 0) return;
        _shared.lockBlocks = 0;
        emit WeightsUnlocked();
    }

    /// @inheritdoc IWeights
    function drawLeaf(uint256 random) external view returns (uint32 leaf, uint64 weight) {
        uint256 leafCount = _shared.leafCount;
        uint256 total = _tree.total(leafCount);
        if (total == 0) revert NoWeight();
        (uint256 found, uint256 itsWeight) = _tree.find(leafCount, random % total);
        return (uint32(found), uint64(itsWeight));
    }

    /// @inheritdoc IWeights
    function leafWeight(uint32 leaf) external view returns (uint64) {
        return uint64(_tree.weightOf(leaf));
    }

    /// @inheritdoc IWeights
    function totalWeight() external view returns (uint256) {
        return _tree.total(_shared.leafCount);
    }

    /// @inheritdoc INodeRegistry
    function nodeCount() external view returns (uint256) {
        return _shared.leafCount;
    }

    /// @inheritdoc IWeights
    function weightOf(address node) external view returns (uint64) {
        return _weightOf(_nodes[node].status, _pools[node].stake);
    }

    /// @inheritdoc IWeights
    function weightsAt(address[] calldata nodes, uint256 epoch)
        external
        view
        returns (uint64[] memory weights)
    {
        weights = new uint64[](nodes.length);
        for (uint256 i = 0; i < nodes.length; ++i) {
            weights[i] = weightAt(nodes[i], epoch);
        }
    }

    /// @inheritdoc IWeights
    function weightsLock() public view returns (uint256 fromBlock, uint256 untilBlock) {
        Shared storage shared = _shared;
        uint256 lockBlocks = shared.lockBlocks;
        if (lockBlocks == 0) return (0, 0);
        fromBlock = GENESIS_BLOCK + shared.lockFrom;
        untilBlock = fromBlock + lockBlocks;
        if (block.number > untilBlock) return (0, 0);
    }

    /// @inheritdoc IWeights
    function weightAt(address node, uint256 epoch) public view returns (uint64) {
        uint256 current = currentEpoch();
        if (epoch > current) revert EpochNotStarted(epoch, current);
        ActivePool storage pool = _pools[node];
        if (_nodes[node].owner == address(0) || epoch <= _incomes[node].firstEpoch) return 0;
        if (pool.checkpoints == 0 || epoch > pool.changedEpoch) {
            return _weightOf(_nodes[node].status, pool.stake);
        }
        (bool known, uint256 weight) = _histories[node].lookup(pool.checkpoints, epoch);
        if (!known) revert WeightForgotten(node, epoch);
        return uint64(weight);
    }

    /// @dev Has to follow every change of a node's stake or activity, with rewards settled before it.
    /// @param pool The node's pool as it will be stored.
    /// @param weightBefore The node's weight before the change.
    /// @param shared As it is stored.
    function _recordWeight(
        address node,
        Node memory record,
        ActivePool memory pool,
        uint64 weightBefore,
        Shared memory shared
    ) internal {
        uint64 weight = _weightOf(record.status, pool.stake);
        if (weight == weightBefore) return;
        uint256 epoch = currentEpoch();
        if (pool.changedEpoch < epoch) {
            _histories[node].push(pool.checkpoints, epoch, weightBefore);
            pool.changedEpoch = uint32(epoch);
            ++pool.checkpoints;
        }
        emit WeightChanged(node, epoch, weight);
        _followWeight(node, record.leaf, weight, shared);
    }

    /// @dev Brings a leaf to its node's weight, or tells that it stays behind.
    function _followWeight(address node, uint256 leaf, uint64 weight, Shared memory shared) internal {
        if (!_updateLeaf(leaf, weight, shared)) emit LeafDeferred(node);
    }

    /// @dev Makes a leaf for a new node.
    /// @param shared To be stored.
    function _addLeaf(Shared memory shared) internal returns (uint24 leaf) {
        leaf = shared.leafCount;
        _tree.grow(leaf);
        shared.leafCount = SafeCast.toUint24(uint256(leaf) + 1);
    }

    /// @dev Brings a leaf to a node's weight, if the tree is not locked and has room for it.
    function _updateLeaf(uint256 leaf, uint64 weight, Shared memory shared) internal returns (bool) {
        uint256 before = _tree.weightOf(leaf);
        uint256 current = weight / WEIGHT_PER_LEAF_WEIGHT;
        if (current == before) return true;
        if (shared.lockBlocks != 0 && _lockedUntil() != 0) return false;
        return _tree.update(shared.leafCount, leaf, before, current);
    }

    /// @dev The last block of a lock that holds now; 0 if there is none.
    function _lockedUntil() internal view returns (uint256) {
        (uint256 fromBlock, uint256 untilBlock) = weightsLock();
        return block.number > fromBlock ? untilBlock : 0;
    }

    function _requireCaller(address expected) internal view {
        if (msg.sender != expected) revert OnlyFor(expected, msg.sender);
    }

    /// @dev At most `MAX_STAKE` / 1e12, which is less than 2^53.
    function _weightOf(Status status, uint256 stake) internal pure returns (uint64) {
        return status == Status.Active ? uint64(stake / WEI_PER_WEIGHT) : 0;
    }
}

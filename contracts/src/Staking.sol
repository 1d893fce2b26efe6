// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Epochs} from "./Epochs.sol";
import {Rewards} from "./Rewards.sol";
import {Slashable} from "./Slashable.sol";
import {Weights} from "./Weights.sol";
import {INodeRegistry, Role} from "./interfaces/INodeRegistry.sol";
import {IStaking, JAIL_FOREVER, NodeInfo, StakingParameters, Unbonding} from "./interfaces/IStaking.sol";
import {SharePool} from "./libraries/SharePool.sol";
import {SumTree} from "./libraries/SumTree.sol";
import {WeightHistory} from "./libraries/WeightHistory.sol";

/// @title Stake behind nodes.
/// @notice Each node has two pools of stake, one that stands behind it and one on its way out; a slash takes
/// the same fraction of both. Owners and voters hold shares of the first alike; what makes a node active is
/// how much of it is its owner's. No owner, no upgrade; the token, the slashers and the delays are fixed.
contract Staking is Slashable {
    using SafeERC20 for IERC20;
    using WeightHistory for WeightHistory.History;

    /// @inheritdoc IStaking
    uint256 public constant MAX_STAKE = SumTree.MAX_TOTAL * 1 ether;
    /// @inheritdoc IStaking
    uint256 public constant MAX_OPEN_REQUESTS = 32;

    uint256 private constant MINIMUM_UNBONDING_DELAY = 1 minutes;
    uint256 private constant MAXIMUM_UNBONDING_DELAY = 60 days;

    /// @inheritdoc IStaking
    uint256 public immutable UNBONDING_DELAY;

    constructor(StakingParameters memory parameters)
        EIP712("Cuckoo Staking", "1")
        Epochs(parameters.epochBlocks, parameters.seedDelayBlocks)
        Weights(parameters.disputes)
        Rewards(parameters.token, parameters.escrow)
        Slashable(parameters.slashing)
    {
        uint256 delay = parameters.unbondingDelay;
        if (delay < MINIMUM_UNBONDING_DELAY || delay > MAXIMUM_UNBONDING_DELAY) {
            revert UnbondingDelayOutOfBounds(delay);
        }
        UNBONDING_DELAY = delay;
    }

    /// @inheritdoc IStaking
    function stake(address node, uint256 amount) external nonReentrant returns (uint256 shares) {
        Node memory record = _loadNode(node);
        if (record.role == Role.None) {
            // Whoever stakes first makes the slots in which all who follow only change values.
            if (record.status != Status.Made) {
                _nodes[node].status = Status.Made;
                _incomes[node].firstEpoch = NOT_YET;
                _histories[node].make();
            }
            return _deposit(node, record, amount);
        }
        if (record.owner != msg.sender) revert NotOwner(node, msg.sender);
        if (record.status == Status.Left) revert NodeHasLeft(node);
        if (record.jailedUntil == JAIL_FOREVER) revert NodeJailed(node, JAIL_FOREVER);
        return _deposit(node, record, amount);
    }

    /// @inheritdoc IStaking
    function vote(address node, uint256 amount) external nonReentrant returns (uint256 shares) {
        Node memory record = _loadNode(node);
        if (record.role == Role.None) revert NotRegistered(node);
        if (record.owner == msg.sender) revert OwnerCannotVote(node);
        if (record.status != Status.Active) revert NodeInactive(node);
        return _deposit(node, record, amount);
    }

    /// @inheritdoc IStaking
    function register(
        Role role,
        address node,
        string calldata metadata,
        uint256 deadline,
        bytes calldata consentSignature
    ) external {
        _checkRegistration(role, node, metadata, deadline, consentSignature);
        ActivePool memory pool = _loadPool(node);
        uint256 own = _ownStake(node, msg.sender, pool);
        if (own <= minimumOwnStake(role)) revert OwnStakeTooSmall(own, minimumOwnStake(role));
        (uint24 leaf, uint64 weight) = _enter(role, node, pool.stake);
        emit NodeRegistered(node, msg.sender, role, leaf, currentEpoch(), weight);
        emit MetadataChanged(node, metadata);
    }

    /// @inheritdoc INodeRegistry
    /// @dev An event costs gas alone. So that nobody can write without end, each costs its node's stake an epoch.
    function setMetadata(address node, string calldata metadata) external onlyOwnerOf(node) {
        _requireMetadataFits(metadata);
        if (_nodes[node].status != Status.Active) revert NodeInactive(node);
        uint256 epoch = currentEpoch();
        if (_metadataEpochs[node] == epoch + 1) revert MetadataSet(node, epoch);
        _metadataEpochs[node] = epoch + 1;
        emit MetadataChanged(node, metadata);
    }

    /// @inheritdoc IStaking
    function deregister(address node) external onlyOwnerOf(node) {
        Node memory record = _loadNode(node);
        if (record.status == Status.Left) revert NodeHasLeft(node);
        emit NodeDeregistered(node);
        _setStatus(node, record, _loadPool(node), Status.Left);
    }

    /// @inheritdoc IStaking
    function unjail(address node) external onlyOwnerOf(node) {
        Node memory record = _loadNode(node);
        uint256 until = record.jailedUntil;
        if (until == 0) revert NodeNotJailed(node);
        if (until == JAIL_FOREVER || block.timestamp < until) revert NodeJailed(node, until);
        record.jailedUntil = 0;
        emit Unjailed(node);
        ActivePool memory pool = _loadPool(node);
        bool takesPart = record.status != Status.Left && _hasEnough(node, record, pool);
        _setStatus(node, record, pool, takesPart ? Status.Active : record.status);
    }

    /// @inheritdoc IStaking
    function unvote(address node, uint256 shares) external returns (uint256 requestId) {
        Holding memory holding = _loadHolding(node, msg.sender);
        if (shares > holding.shares) revert NotEnoughShares(shares, holding.shares);
        if (holding.openRequests == MAX_OPEN_REQUESTS) revert TooManyRequests(MAX_OPEN_REQUESTS);
        Node memory record = _loadNode(node);
        ActivePool memory pool = _loadPool(node);
        (NodeIncome memory income, Shared memory shared) = _settleNode(node, record, pool);
        _settleHolding(msg.sender, holding, income.perShare);

        uint64 weightBefore = _weightOf(record.status, pool.stake);
        uint256 amount = SharePool.toStake(shares, pool.stake, pool.shares);
        if (amount == 0) revert NothingToMove();
        pool.stake -= uint96(amount);
        pool.shares -= uint104(shares);
        holding.shares -= uint104(shares);
        uint256 releaseTime = block.timestamp + UNBONDING_DELAY;
        if (record.owner == msg.sender) {
            uint256 own = SharePool.toStake(holding.shares, pool.stake, pool.shares);
            if (own <= minimumOwnStake(record.role)) {
                // Its voters cannot know before; what makes it answer for them leaves when they could have left.
                if (pool.shares != holding.shares) releaseTime += UNBONDING_DELAY;
                if (record.status == Status.Active) {
                    record.status = Status.Inactive;
                    _storeNode(node, record);
                }
            }
        }
        requestId = _request(node, holding, amount, releaseTime);
        _storeHolding(node, msg.sender, holding);
        emit UnbondingStarted(node, msg.sender, requestId, shares, amount, releaseTime);
        _recordWeight(node, record, pool, weightBefore, shared);
        _storePool(node, pool);
    }

    /// @inheritdoc IStaking
    function withdraw(address node, uint256 requestId) external nonReentrant returns (uint256 amount) {
        Request memory request = _requests[node][msg.sender][requestId];
        if (request.releaseTime == 0) revert NoSuchRequest(node, msg.sender, requestId);
        if (block.timestamp < request.releaseTime) revert StillUnbonding(requestId, request.releaseTime);
        delete _requests[node][msg.sender][requestId];
        --_holdings[node][msg.sender].openRequests;

        ThawingPool memory pool = _loadThawing(node);
        amount = SharePool.toStake(request.thawingShares, pool.stake, pool.shares);
        pool.stake -= uint96(amount);
        pool.shares -= request.thawingShares;
        _storeThawing(node, pool);
        emit Withdrawn(node, msg.sender, requestId, amount);
        IERC20(TOKEN).safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc INodeRegistry
    function metadataEpoch(address node) external view returns (uint256 epoch) {
        _requireRegistered(node);
        uint256 told = _metadataEpochs[node];
        epoch = told == 0 ? _incomes[node].firstEpoch : told - 1;
    }

    /// @inheritdoc IStaking
    function nodeInfo(address node) external view returns (NodeInfo memory) {
        Node memory record = _loadNode(node);
        return NodeInfo({
            owner: record.owner,
            role: record.role,
            active: record.status == Status.Active,
            left: record.status == Status.Left,
            jailedUntil: record.jailedUntil,
            leaf: record.leaf,
            ownStake: _ownStake(node, record.owner, _loadPool(node)),
            totalStake: _pools[node].stake,
            unbondingStake: _thawing[node].stake
        });
    }

    /// @inheritdoc IStaking
    function sharesOf(address node, address account) external view returns (uint256) {
        return _holdings[node][account].shares;
    }

    /// @inheritdoc IStaking
    function stakeOf(address node, address account) external view returns (uint256) {
        return _ownStake(node, account, _loadPool(node));
    }

    /// @inheritdoc IStaking
    function unbonding(address node, address account, uint256 requestId)
        external
        view
        returns (Unbonding memory)
    {
        Request storage request = _requests[node][account][requestId];
        ThawingPool storage pool = _thawing[node];
        return Unbonding({
            amount: SharePool.toStake(request.thawingShares, pool.stake, pool.shares),
            releaseTime: request.releaseTime
        });
    }

    /// @dev Makes a node of the caller's, with a leaf of its own.
    function _enter(Role role, address node, uint256 staked) private returns (uint24 leaf, uint64 weight) {
        Shared memory shared = _settleStream();
        _storeIncome(
            node,
            NodeIncome({perShare: 0, perWeightPaid: shared.perWeight, firstEpoch: uint32(currentEpoch())})
        );
        leaf = _addLeaf(shared);
        _shared.leafCount = shared.leafCount;
        Node memory record = Node({
            owner: msg.sender, role: role, status: Status.Active, leaf: leaf, jailedUntil: 0, commission: 0
        });
        _storeNode(node, record);
        weight = _weightOf(Status.Active, staked);
        // Before its first epoch it weighed nothing, so there is no entry to write, and the pool stays.
        _followWeight(node, leaf, weight, shared);
    }

    /// @dev Takes stake of the caller's. Effects come first; the token comes last.
    function _deposit(address node, Node memory record, uint256 amount) private returns (uint256 shares) {
        Holding memory holding = _loadHolding(node, msg.sender);
        ActivePool memory pool = _loadPool(node);
        Shared memory shared;
        if (record.role != Role.None) {
            NodeIncome memory income;
            (income, shared) = _settleNode(node, record, pool);
            _settleHolding(msg.sender, holding, income.perShare);
        }
        uint64 weightBefore = _weightOf(record.status, pool.stake);
        if (amount > MAX_STAKE || pool.stake + amount > MAX_STAKE) revert PoolFull(node);
        shares = SharePool.toShares(amount, pool.stake, pool.shares);
        if (shares == 0) revert NothingToMove();
        if (pool.shares + shares > type(uint104).max) revert PoolFull(node);
        pool.stake += uint96(amount);
        pool.shares += uint104(shares);
        holding.shares += uint104(shares);
        _storeHolding(node, msg.sender, holding);
        emit Staked(node, msg.sender, amount, shares);

        bool idle = record.status == Status.Inactive && record.jailedUntil == 0;
        if (idle && record.owner == msg.sender && _hasEnough(node, record, pool)) {
            record.status = Status.Active;
            _storeNode(node, record);
        }
        if (record.status == Status.Active) _recordWeight(node, record, pool, weightBefore, shared);
        _storePool(node, pool);
        IERC20(TOKEN).safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @dev Changes whether a node takes part, its stake staying as it is.
    function _setStatus(address node, Node memory record, ActivePool memory pool, Status status) private {
        (, Shared memory shared) = _settleNode(node, record, pool);
        uint64 weightBefore = _weightOf(record.status, pool.stake);
        record.status = status;
        _storeNode(node, record);
        _recordWeight(node, record, pool, weightBefore, shared);
        _storePool(node, pool);
    }

    /// @dev Moves stake into the pool on its way out, and enters the claim to it.
    function _request(address node, Holding memory holding, uint256 amount, uint256 releaseTime)
        private
        returns (uint256 requestId)
    {
        ThawingPool memory pool = _loadThawing(node);
        uint256 thawingShares = SharePool.toShares(amount, pool.stake, pool.shares);
        pool.stake += uint96(amount);
        pool.shares += SafeCast.toUint160(thawingShares);
        _storeThawing(node, pool);

        ++holding.openRequests;
        uint16 id = holding.lastRequest;
        do {
            // After 65,535 requests ids are used again; never that of an open one, of which there are few.
            unchecked {
                ++id;
            }
        } while (id == 0 || _requests[node][msg.sender][id].releaseTime != 0);
        holding.lastRequest = id;
        _requests[node][msg.sender][id] = Request({
            thawingShares: uint160(thawingShares),
            releaseTime: SafeCast.toUint40(releaseTime)
        });
        return id;
    }
}

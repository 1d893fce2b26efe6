// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EpochSeeds} from "./EpochSeeds.sol";
import {Rewards} from "./Rewards.sol";
import {Slashable} from "./Slashable.sol";
import {Weights} from "./Weights.sol";
import {Role} from "./interfaces/INodeRegistry.sol";
import {IStaking, JAIL_FOREVER, NodeInfo, Unbonding} from "./interfaces/IStaking.sol";
import {SharePool} from "./libraries/SharePool.sol";

/// @notice What is fixed for good when staking is deployed.
struct StakingParameters {
    /// CAI, which reverts on a failed transfer and lets holders burn.
    address token;
    /// These three may not exist yet: each checks on its own deployment that it is meant.
    address slashing;
    address disputes;
    address escrow;
    /// In seconds, 1 minute to 60 days; longer than evidence takes to surface.
    uint256 unbondingDelay;
    /// See `EpochSeeds`.
    uint256 epochBlocks;
    uint256 seedDelayBlocks;
}

/// @title Stake behind nodes.
/// @notice Each node has two pools of stake, one that stands behind it and one on its way out; a slash takes
/// the same fraction of both. Owners and voters hold shares of the first alike; what makes a node active is
/// how much of it is its owner's. No owner, no upgrade; the token, the slashers and the delays are fixed.
contract Staking is Slashable {
    using SafeERC20 for IERC20;

    /// @inheritdoc IStaking
    uint256 public constant MAX_STAKE = uint256(type(uint32).max) * 1 ether;
    /// @inheritdoc IStaking
    uint256 public constant MAX_OPEN_REQUESTS = 32;

    uint256 private constant MINIMUM_UNBONDING_DELAY = 1 minutes;
    uint256 private constant MAXIMUM_UNBONDING_DELAY = 60 days;

    /// @inheritdoc IStaking
    uint256 public immutable UNBONDING_DELAY;

    constructor(StakingParameters memory parameters)
        EIP712("Cuckoo Staking", "1")
        EpochSeeds(parameters.epochBlocks, parameters.seedDelayBlocks)
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
            // Whoever stakes first makes the slot in which registering then only changes a value.
            if (_incomes[node].firstEpoch == 0) _incomes[node].firstEpoch = NOT_YET;
            return _deposit(node, record, amount);
        }
        if (record.owner != msg.sender) revert NotOwner(node, msg.sender);
        if (record.left) revert NodeHasLeft(node);
        if (record.jailedUntil == JAIL_FOREVER) revert NodeJailed(node, JAIL_FOREVER);
        return _deposit(node, record, amount);
    }

    /// @inheritdoc IStaking
    function vote(address node, uint256 amount) external nonReentrant returns (uint256 shares) {
        Node memory record = _loadNode(node);
        if (record.role == Role.None) revert NotRegistered(node);
        if (record.owner == msg.sender) revert OwnerCannotVote(node);
        if (!record.active) revert NodeInactive(node);
        return _deposit(node, record, amount);
    }

    /// @inheritdoc IStaking
    function register(
        Role role,
        address node,
        string calldata metadata,
        uint256 deadline,
        bytes calldata consentSignature
    ) external nonReentrant {
        _checkRegistration(role, node, metadata, deadline, consentSignature);
        ActivePool memory pool = _loadPool(node);
        uint256 own = _ownStake(node, msg.sender, pool);
        if (own <= minimumOwnStake(role)) revert OwnStakeTooSmall(own, minimumOwnStake(role));

        uint32 epoch = uint32(currentEpoch());
        _storeIncome(
            node, NodeIncome({perShare: 0, perWeightPaid: uint96(_settleStream()), firstEpoch: epoch})
        );
        Node memory record = Node({
            owner: msg.sender, role: role, active: true, left: false, leaf: _addLeaf(), jailedUntil: 0
        });
        _storeNode(node, record);
        emit NodeRegistered(node, msg.sender, role, record.leaf, metadata);
        // Before its first epoch it weighed nothing, so there is no entry to write, and the pool stays.
        _recordWeight(node, record, pool, 0);
    }

    /// @inheritdoc IStaking
    function deregister(address node) external nonReentrant onlyOwnerOf(node) {
        Node memory record = _loadNode(node);
        if (record.left) revert NodeHasLeft(node);
        record.left = true;
        emit NodeDeregistered(node);
        _setActive(node, record, false);
    }

    /// @inheritdoc IStaking
    function unjail(address node) external nonReentrant onlyOwnerOf(node) {
        Node memory record = _loadNode(node);
        uint256 until = record.jailedUntil;
        if (until == 0) revert NodeNotJailed(node);
        if (until == JAIL_FOREVER || block.timestamp < until) revert NodeJailed(node, until);
        record.jailedUntil = 0;
        emit Unjailed(node);
        _setActive(node, record, !record.left && _hasEnough(node, record, _loadPool(node)));
    }

    /// @inheritdoc IStaking
    function unvote(address node, uint256 shares) external nonReentrant returns (uint256 requestId) {
        Holding memory holding = _loadHolding(node, msg.sender);
        if (shares > holding.shares) revert NotEnoughShares(shares, holding.shares);
        if (holding.openRequests == MAX_OPEN_REQUESTS) revert TooManyRequests(MAX_OPEN_REQUESTS);
        uint256 perShare = _settleNode(node).perShare;
        _settleHolding(msg.sender, holding, perShare);

        Node memory record = _loadNode(node);
        ActivePool memory pool = _loadPool(node);
        uint64 weightBefore = _weightOf(record.active, pool.stake);
        uint256 amount = SharePool.toStake(shares, pool.stake, pool.shares);
        if (amount == 0) revert NothingToMove();
        pool.stake -= uint96(amount);
        pool.shares -= uint104(shares);
        holding.shares -= uint104(shares);
        requestId = _request(node, holding, amount);
        _storeHolding(node, msg.sender, holding);
        emit UnbondingStarted(node, msg.sender, requestId, shares, amount, block.timestamp + UNBONDING_DELAY);
        if (record.active && record.owner == msg.sender && !_hasEnough(node, record, pool)) {
            record.active = false;
            _storeNode(node, record);
        }
        _recordWeight(node, record, pool, weightBefore);
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

    /// @inheritdoc IStaking
    function nodeInfo(address node) external view returns (NodeInfo memory) {
        Node memory record = _loadNode(node);
        return NodeInfo({
            owner: record.owner,
            role: record.role,
            active: record.active,
            left: record.left,
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

    /// @dev Takes stake of the caller's. Effects come first; the token comes last.
    function _deposit(address node, Node memory record, uint256 amount) private returns (uint256 shares) {
        Holding memory holding = _loadHolding(node, msg.sender);
        if (record.role != Role.None) {
            uint256 perShare = _settleNode(node).perShare;
            _settleHolding(msg.sender, holding, perShare);
        }
        ActivePool memory pool = _loadPool(node);
        uint64 weightBefore = _weightOf(record.active, pool.stake);
        shares = SharePool.toShares(amount, pool.stake, pool.shares);
        if (shares == 0) revert NothingToMove();
        bool fits = amount <= MAX_STAKE && pool.stake + amount <= MAX_STAKE;
        if (!fits || pool.shares + shares > type(uint104).max) revert PoolFull(node);
        pool.stake += uint96(amount);
        pool.shares += uint104(shares);
        holding.shares += uint104(shares);
        _storeHolding(node, msg.sender, holding);
        emit Staked(node, msg.sender, amount, shares);

        if (record.owner == msg.sender && !record.active) {
            bool free = !record.left && record.jailedUntil == 0;
            if (free && _hasEnough(node, record, pool)) {
                record.active = true;
                _storeNode(node, record);
            }
        }
        if (record.active) _recordWeight(node, record, pool, weightBefore);
        _storePool(node, pool);
        IERC20(TOKEN).safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @dev Changes a node's activity, its stake staying as it is.
    function _setActive(address node, Node memory record, bool active) private {
        _settleNode(node);
        ActivePool memory pool = _loadPool(node);
        uint64 weightBefore = _weightOf(record.active, pool.stake);
        record.active = active;
        _storeNode(node, record);
        _recordWeight(node, record, pool, weightBefore);
        _storePool(node, pool);
    }

    /// @dev Moves stake into the pool on its way out, and enters the claim to it.
    function _request(address node, Holding memory holding, uint256 amount)
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
            releaseTime: SafeCast.toUint40(block.timestamp + UNBONDING_DELAY)
        });
        return id;
    }
}

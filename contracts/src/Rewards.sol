// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Weights} from "./Weights.sol";
import {IRewards, NodeRewards, RewardStream} from "./interfaces/IRewards.sol";
import {IWeights} from "./interfaces/IWeights.sol";
import {RewardMath} from "./libraries/RewardMath.sol";
import {SumTree} from "./libraries/SumTree.sol";

/// @title What stake earns.
/// @notice The stream flows to the tree: to each leaf by its weight and time, so that all leaves together earn
/// what has flowed. A leaf that stayed behind at a node which is no longer active earns for the next funding.
abstract contract Rewards is IRewards, Weights, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using SumTree for SumTree.Tree;

    /// @inheritdoc IRewards
    uint256 public constant REWARD_PERIOD = 30 days;
    /// @inheritdoc IRewards
    uint256 public constant COMMISSION_NOTICE = 7 days;
    /// @inheritdoc IRewards
    uint256 public constant MAX_COMMISSION = 5_000;

    uint256 private constant WEI_PER_RATE = 1e9;

    /// @inheritdoc IRewards
    address public immutable TOKEN;
    /// @inheritdoc IRewards
    address public immutable ESCROW;

    constructor(address token, address escrow) {
        TOKEN = token;
        ESCROW = escrow;
    }

    /// @inheritdoc IRewards
    function fundRewards(uint256 amount) external nonReentrant {
        Shared memory shared = _settleStream();
        uint256 nowS = block.timestamp - GENESIS_TIME;
        uint256 endDay = Math.ceilDiv(nowS + REWARD_PERIOD, 1 days);
        uint256 whole = amount + _rewards.carried + _remaining(shared);
        uint256 seconds_ = endDay * 1 days - nowS;
        uint256 rate = whole / seconds_ / WEI_PER_RATE;
        bool slower = _remaining(shared) != 0 && rate < shared.rateGwei;
        if (rate == 0 || slower || rate > type(uint40).max) {
            revert RateOutOfBounds(
                rate * WEI_PER_RATE, shared.rateGwei * WEI_PER_RATE, type(uint40).max * WEI_PER_RATE
            );
        }
        _shared.rateGwei = uint40(rate);
        _shared.settledAt = SafeCast.toUint32(nowS);
        _shared.endDay = SafeCast.toUint16(endDay);
        _rewards.held += SafeCast.toUint128(amount);
        _rewards.carried = SafeCast.toUint128(whole - rate * WEI_PER_RATE * seconds_);
        emit RewardsFunded(msg.sender, amount, rate * WEI_PER_RATE, GENESIS_TIME + endDay * 1 days);
        IERC20(TOKEN).safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IRewards
    function addFees(address node, uint256 amount) external nonReentrant {
        _requireCaller(ESCROW);
        _requireRegistered(node);
        Node memory record = _loadNode(node);
        uint256 poolShares = _pools[node].shares;
        (NodeIncome memory income,) = _settleNode(node, record, poolShares);
        _riseCommission(node, record);
        uint256 owners = _divideIncome(record, poolShares, income, SafeCast.toUint96(amount));
        _storeIncome(node, income);
        if (owners != 0) _commissions[node].owed += SafeCast.toUint96(owners);
        _rewards.held += uint128(amount);
        emit FeesAdded(node, amount, owners);
        IERC20(TOKEN).safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IRewards
    function claim(address node) external nonReentrant returns (uint256 amount) {
        Node memory record = _loadNode(node);
        (NodeIncome memory income,) = _settleNode(node, record, _pools[node].shares);
        Holding storage holding = _holdings[node][msg.sender];
        amount = RewardMath.earned(holding.shares, income.perShare, holding.rewardPaid) + _credits[msg.sender];
        holding.rewardPaid = income.perShare;
        if (_credits[msg.sender] != 0) _credits[msg.sender] = 0;
        if (record.owner == msg.sender) {
            _riseCommission(node, record);
            amount += _commissions[node].owed;
            _commissions[node].owed = 0;
        }
        if (amount == 0) revert NothingToClaim(node, msg.sender);
        _rewards.held -= SafeCast.toUint128(amount);
        emit Claimed(node, msg.sender, amount);
        IERC20(TOKEN).safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IRewards
    function announceCommission(address node, uint256 basisPoints) external onlyOwnerOf(node) {
        if (basisPoints > MAX_COMMISSION) revert CommissionTooHigh(basisPoints, MAX_COMMISSION);
        Node memory record = _loadNode(node);
        _settleNode(node, record, _pools[node].shares);
        _riseCommission(node, record);
        Commission storage commission = _commissions[node];
        commission.announced = true;
        uint256 from = block.timestamp;
        if (basisPoints <= record.commission) {
            _nodes[node].commission = uint16(basisPoints);
            commission.nextBasisPoints = 0;
            commission.nextFrom = 0;
        } else {
            from += COMMISSION_NOTICE;
            commission.nextBasisPoints = uint16(basisPoints);
            commission.nextFrom = SafeCast.toUint40(from);
        }
        emit CommissionAnnounced(node, basisPoints, from);
    }

    /// @inheritdoc IWeights
    function syncLeaf(address node) external {
        _requireRegistered(node);
        uint256 lockedUntil = _lockedUntil();
        if (lockedUntil != 0) revert WeightsAreLocked(lockedUntil);
        Node memory record = _loadNode(node);
        ActivePool memory pool = _loadPool(node);
        // The leaf has earned by its old weight.
        (, Shared memory shared) = _settleNode(node, record, pool.shares);
        if (_updateLeaf(record.leaf, _weightOf(record.status, pool.stake), shared)) {
            emit LeafSynced(node, uint32(_tree.weightOf(record.leaf)));
        } else {
            emit LeafDeferred(node);
        }
    }

    /// @inheritdoc IRewards
    function claimable(address node, address account) external view returns (uint256 amount) {
        (Shared memory shared,,) = _streamNow();
        Node memory record = _loadNode(node);
        NodeIncome memory income = _loadIncome(node);
        (uint256 owners,) = _earn(record, _pools[node].shares, income, shared.perWeight);
        Holding storage holding = _holdings[node][account];
        amount = RewardMath.earned(holding.shares, income.perShare, holding.rewardPaid) + _credits[account];
        if (record.owner == account && account != address(0)) {
            amount += owners + _commissions[node].owed;
        }
    }

    /// @inheritdoc IRewards
    function nodeRewards(address node) external view returns (NodeRewards memory) {
        Commission storage commission = _commissions[node];
        return NodeRewards({
            commission: _nodes[node].commission,
            nextCommission: commission.nextBasisPoints,
            nextCommissionFrom: commission.nextFrom
        });
    }

    /// @inheritdoc IRewards
    function rewardStream() external view returns (RewardStream memory) {
        (Shared memory shared,, uint256 missed) = _streamNow();
        uint256 remaining = _remaining(shared);
        return RewardStream({
            rate: remaining == 0 ? 0 : shared.rateGwei * WEI_PER_RATE,
            endTime: GENESIS_TIME + shared.endDay * 1 days,
            remaining: remaining,
            carried: _rewards.carried + missed
        });
    }

    /// @inheritdoc IRewards
    function rewardsHeld() external view returns (uint256) {
        return _rewards.held;
    }

    /// @dev Has to come before any change of the tree: adds what has flowed since to the sum.
    /// @return shared As it is stored now.
    function _settleStream() internal returns (Shared memory shared) {
        bool flowed;
        uint256 missed;
        (shared, flowed, missed) = _streamNow();
        if (!flowed) return shared;
        _shared.perWeight = shared.perWeight;
        _shared.settledAt = shared.settledAt;
        if (missed != 0) _rewards.carried += uint128(missed);
    }

    /// @dev Has to come before any change of a node's leaf, pool of shares, activity or commission.
    /// @param record The node as it is stored.
    /// @param poolShares As they are stored.
    /// @return income As it is stored now.
    /// @return shared As it is stored now.
    function _settleNode(address node, Node memory record, uint256 poolShares)
        internal
        returns (NodeIncome memory income, Shared memory shared)
    {
        shared = _settleStream();
        income = _loadIncome(node);
        uint256 paidBefore = income.perWeightPaid;
        (uint256 owners, uint256 missed) = _earn(record, poolShares, income, shared.perWeight);
        if (income.perWeightPaid == paidBefore) return (income, shared);
        _storeIncome(node, income);
        if (missed != 0) _rewards.carried += uint128(missed);
        // What is owed is held, so it is below the supply.
        if (owners != 0) _commissions[node].owed += uint96(owners);
    }

    /// @dev Has to come before any change of an account's shares, after `_settleNode`.
    function _settleHolding(address account, Holding memory holding, uint256 perShare) internal {
        uint256 amount = RewardMath.earned(holding.shares, perShare, holding.rewardPaid);
        if (amount != 0) _credits[account] += amount;
        holding.rewardPaid = uint128(perShare);
    }

    /// @dev Lets an announced commission begin, once all that was earned before it is settled.
    function _riseCommission(address node, Node memory record) private {
        Commission storage commission = _commissions[node];
        if (commission.nextFrom == 0 || block.timestamp < commission.nextFrom) return;
        record.commission = commission.nextBasisPoints;
        _nodes[node].commission = record.commission;
        commission.nextBasisPoints = 0;
        commission.nextFrom = 0;
    }

    /// @dev The stream with what has flowed until now, whether it is more than before, and what of it nobody
    /// could earn.
    function _streamNow() private view returns (Shared memory shared, bool flowed, uint256 missed) {
        shared = _loadShared();
        uint256 until = Math.min(block.timestamp - GENESIS_TIME, shared.endDay * 1 days);
        if (until <= shared.settledAt) return (shared, false, 0);
        uint256 total = _tree.total(shared.leafCount);
        uint256 due;
        uint256 sum;
        unchecked {
            // Of 32, 40 and 30 bits; what is added is below 2^110.
            due = (until - shared.settledAt) * shared.rateGwei * WEI_PER_RATE;
            if (total != 0) sum = shared.perWeight + (due << RewardMath.WEIGHT_SCALE) / total;
        }
        shared.settledAt = uint32(until);
        if (total == 0 || sum > type(uint96).max) return (shared, true, due);
        shared.perWeight = uint96(sum);
        return (shared, true, 0);
    }

    /// @dev Adds to a node's income what its leaf has earned.
    /// @return owners Its owner's part of that.
    /// @return missed What is nobody's, as the node is not active.
    function _earn(Node memory record, uint256 poolShares, NodeIncome memory income, uint256 perWeight)
        private
        view
        returns (uint256 owners, uint256 missed)
    {
        if (record.owner == address(0) || perWeight == income.perWeightPaid) return (0, 0);
        uint256 gross = RewardMath.gross(_tree.weightOf(record.leaf), perWeight, income.perWeightPaid);
        income.perWeightPaid = uint96(perWeight);
        if (record.status != Status.Active) return (0, gross);
        owners = _divideIncome(record, poolShares, income, gross);
    }

    /// @dev Adds the shares' part of an amount to a node's income; returns its owner's part.
    function _divideIncome(Node memory record, uint256 poolShares, NodeIncome memory income, uint256 amount)
        private
        pure
        returns (uint256 owners)
    {
        uint256 perShare;
        (perShare, owners) = RewardMath.divide(amount, record.commission, poolShares, income.perShare);
        income.perShare = uint128(perShare);
    }

    function _remaining(Shared memory shared) private pure returns (uint256) {
        uint256 end = shared.endDay * 1 days;
        return end <= shared.settledAt ? 0 : (end - shared.settledAt) * shared.rateGwei * WEI_PER_RATE;
    }
}

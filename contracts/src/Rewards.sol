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
        _settleStream();
        Shared memory shared = _loadShared();
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
        NodeIncome memory income = _settleNode(node);
        _riseCommission(node);
        uint256 owners = _divideIncome(node, income, SafeCast.toUint96(amount));
        _storeIncome(node, income);
        if (owners != 0) _commissions[node].owed += SafeCast.toUint96(owners);
        _rewards.held += uint128(amount);
        emit FeesAdded(node, amount, owners);
        IERC20(TOKEN).safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IRewards
    function claim(address node) external nonReentrant returns (uint256 amount) {
        uint256 perShare = _settleNode(node).perShare;
        Holding storage holding = _holdings[node][msg.sender];
        amount = RewardMath.earned(holding.shares, perShare, holding.rewardPaid) + _credits[msg.sender];
        holding.rewardPaid = uint128(perShare);
        if (_credits[msg.sender] != 0) _credits[msg.sender] = 0;
        if (_nodes[node].owner == msg.sender) {
            _riseCommission(node);
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
        _settleNode(node);
        _riseCommission(node);
        Commission storage commission = _commissions[node];
        uint256 from = block.timestamp;
        if (basisPoints <= commission.basisPoints) {
            commission.basisPoints = uint16(basisPoints);
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
        // The leaf has earned by its old weight.
        _settleNode(node);
        Node memory record = _loadNode(node);
        uint64 weight = _weightOf(record.active, _pools[node].stake);
        if (_updateLeaf(record.leaf, weight)) {
            emit LeafSynced(node, uint32(_tree.weightOf(record.leaf)));
        } else {
            emit LeafDeferred(node);
        }
    }

    /// @inheritdoc IRewards
    function claimable(address node, address account) external view returns (uint256 amount) {
        (uint256 perWeight,,) = _streamNow();
        (NodeIncome memory income, uint256 owners,) = _incomeNow(node, perWeight);
        Holding storage holding = _holdings[node][account];
        amount = RewardMath.earned(holding.shares, income.perShare, holding.rewardPaid) + _credits[account];
        if (_nodes[node].owner == account && account != address(0)) {
            amount += owners + _commissions[node].owed;
        }
    }

    /// @inheritdoc IRewards
    function nodeRewards(address node) external view returns (NodeRewards memory) {
        Commission storage commission = _commissions[node];
        return NodeRewards({
            commission: commission.basisPoints,
            nextCommission: commission.nextBasisPoints,
            nextCommissionFrom: commission.nextFrom
        });
    }

    /// @inheritdoc IRewards
    function rewardStream() external view returns (RewardStream memory) {
        Shared memory shared = _loadShared();
        (, uint256 settledAt, uint256 missed) = _streamNow();
        shared.settledAt = uint32(settledAt);
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
    function _settleStream() internal returns (uint256 perWeight) {
        uint256 settledAt;
        uint256 missed;
        (perWeight, settledAt, missed) = _streamNow();
        if (settledAt == _shared.settledAt) return perWeight;
        _shared.perWeight = uint96(perWeight);
        _shared.settledAt = uint32(settledAt);
        if (missed != 0) _rewards.carried += uint128(missed);
    }

    /// @dev Has to come before any change of a node's leaf, pool of shares, activity or commission.
    function _settleNode(address node) internal returns (NodeIncome memory income) {
        uint256 paidBefore = _incomes[node].perWeightPaid;
        uint256 owners;
        uint256 missed;
        (income, owners, missed) = _incomeNow(node, _settleStream());
        if (income.perWeightPaid == paidBefore) return income;
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
    function _riseCommission(address node) private {
        Commission storage commission = _commissions[node];
        if (commission.nextFrom == 0 || block.timestamp < commission.nextFrom) return;
        commission.basisPoints = commission.nextBasisPoints;
        commission.nextBasisPoints = 0;
        commission.nextFrom = 0;
    }

    /// @dev The sum for a unit of weight now, until when it counts, and what nobody could earn.
    function _streamNow() private view returns (uint256 perWeight, uint256 settledAt, uint256 missed) {
        Shared memory shared = _loadShared();
        perWeight = shared.perWeight;
        settledAt = shared.settledAt;
        uint256 until = Math.min(block.timestamp - GENESIS_TIME, shared.endDay * 1 days);
        if (until <= settledAt) return (perWeight, settledAt, 0);
        uint256 due = (until - settledAt) * shared.rateGwei * WEI_PER_RATE;
        uint256 total = _tree.total(shared.leafCount);
        uint256 sum = total == 0 ? 0 : perWeight + (due << RewardMath.WEIGHT_SCALE) / total;
        if (total == 0 || sum > type(uint96).max) return (perWeight, until, due);
        return (sum, until, 0);
    }

    /// @dev A node's income, its owner's part of what is new, and what is new and nobody's.
    function _incomeNow(address node, uint256 perWeight)
        private
        view
        returns (NodeIncome memory income, uint256 owners, uint256 missed)
    {
        income = _loadIncome(node);
        Node memory record = _loadNode(node);
        if (record.owner == address(0) || perWeight == income.perWeightPaid) return (income, 0, 0);
        uint256 gross = RewardMath.gross(_tree.weightOf(record.leaf), perWeight, income.perWeightPaid);
        income.perWeightPaid = uint96(perWeight);
        if (gross == 0) return (income, 0, 0);
        if (!record.active) return (income, 0, gross);
        owners = _divideIncome(node, income, gross);
    }

    /// @dev Adds the shares' part of an amount to a node's income; returns its owner's part.
    function _divideIncome(address node, NodeIncome memory income, uint256 amount)
        private
        view
        returns (uint256 owners)
    {
        uint256 perShare;
        (perShare, owners) =
            RewardMath.divide(amount, _commissions[node].basisPoints, _pools[node].shares, income.perShare);
        income.perShare = uint128(perShare);
    }

    function _remaining(Shared memory shared) private pure returns (uint256) {
        uint256 end = shared.endDay * 1 days;
        return end <= shared.settledAt ? 0 : (end - shared.settledAt) * shared.rateGwei * WEI_PER_RATE;
    }
}

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
/// what has flowed. What a leaf that stayed behind has more than its node weighs, it earns for the next funding.
abstract contract Rewards is IRewards, Weights, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using SumTree for SumTree.Tree;

    /// @inheritdoc IRewards
    uint256 public constant REWARD_PERIOD = 30 days;
    /// @inheritdoc IRewards
    uint256 public constant COMMISSION_NOTICE = 7 days;
    /// @inheritdoc IRewards
    uint256 public constant MAX_COMMISSION = 5_000;

    /// @inheritdoc IRewards
    uint256 public constant FEE_PERIOD = 7 days;

    uint256 private constant WEI_PER_RATE = 1e9;
    uint256 private constant WEI_PER_LEAF_WEIGHT = 1 ether;

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
        _settleNode(node, record, _loadPool(node));
        _riseCommission(node, record);
        Commission storage commission = _commissions[node];
        commission.feesGwei += SafeCast.toUint64(amount / WEI_PER_RATE);
        commission.flowedAt = SafeCast.toUint32(block.timestamp - GENESIS_TIME);
        _rewards.held += uint128(amount);
        _rewards.carried += uint128(amount % WEI_PER_RATE);
        emit FeesAdded(node, amount);
        IERC20(TOKEN).safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IRewards
    function claim(address node) external nonReentrant returns (uint256 amount) {
        Node memory record = _loadNode(node);
        ActivePool memory pool = _loadPool(node);
        (NodeIncome memory income, Shared memory shared) = _settleNode(node, record, pool);
        if (record.owner != address(0)) _syncLeaf(node, record, pool, shared);
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
        _settleNode(node, record, _loadPool(node));
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
        (, Shared memory shared) = _settleNode(node, record, pool);
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
        Commission memory commission = _commissions[node];
        uint256 fees = _flow(commission);
        (uint256 owners,) = _earn(record, _loadPool(node), income, shared.perWeight, fees);
        Holding storage holding = _holdings[node][account];
        amount = RewardMath.earned(holding.shares, income.perShare, holding.rewardPaid) + _credits[account];
        if (record.owner == account && account != address(0)) {
            amount += owners + commission.owed;
        }
    }

    /// @inheritdoc IRewards
    function nodeRewards(address node) external view returns (NodeRewards memory) {
        Commission memory commission = _commissions[node];
        _flow(commission);
        return NodeRewards({
            commission: _nodes[node].commission,
            nextCommission: commission.nextBasisPoints,
            nextCommissionFrom: commission.nextFrom,
            fees: commission.feesGwei * WEI_PER_RATE
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

    /// @dev Has to come before any change of a node's leaf, pool, activity or commission.
    /// @param record The node as it is stored.
    /// @param pool As it is stored.
    /// @return income As it is stored now.
    /// @return shared As it is stored now.
    function _settleNode(address node, Node memory record, ActivePool memory pool)
        internal
        returns (NodeIncome memory income, Shared memory shared)
    {
        shared = _settleStream();
        income = _loadIncome(node);
        Commission memory commission = _commissions[node];
        uint256 fees = _flow(commission);
        if (fees == 0 && income.perWeightPaid == shared.perWeight) return (income, shared);
        (uint256 owners, uint256 missed) = _earn(record, pool, income, shared.perWeight, fees);
        _storeIncome(node, income);
        if (missed != 0) _rewards.carried += uint128(missed);
        if (owners == 0 && fees == 0) return (income, shared);
        // What is owed is held, so it is below the supply.
        commission.owed += uint96(owners);
        _commissions[node] = commission;
    }

    /// @dev Takes from the fees of a node what flows until now: all after `FEE_PERIOD`, of a shorter time as
    /// much less. So whoever comes when they arrive has none of them, and settling often only slows them.
    /// @param commission As it is stored; after it as it has to be stored.
    /// @return fees In wei of CAI.
    function _flow(Commission memory commission) private view returns (uint256 fees) {
        uint256 nowS = block.timestamp - GENESIS_TIME;
        uint256 flows = Math.min(nowS - commission.flowedAt, FEE_PERIOD) * commission.feesGwei / FEE_PERIOD;
        if (flows == 0) return 0;
        commission.feesGwei -= uint64(flows);
        commission.flowedAt = uint32(nowS);
        return flows * WEI_PER_RATE;
    }

    /// @dev Brings a leaf that stayed behind to its node's weight if that can be now, once rewards are settled.
    function _syncLeaf(address node, Node memory record, ActivePool memory pool, Shared memory shared)
        private
    {
        uint256 before = _tree.weightOf(record.leaf);
        _updateLeaf(record.leaf, _weightOf(record.status, pool.stake), shared);
        uint256 current = _tree.weightOf(record.leaf);
        if (current != before) emit LeafSynced(node, uint32(current));
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

    /// @dev Adds to a node's income what its leaf has earned, and fees.
    /// @return owners Its owner's part of that.
    /// @return missed What is nobody's: of a leaf that weighs more than its node.
    function _earn(
        Node memory record,
        ActivePool memory pool,
        NodeIncome memory income,
        uint256 perWeight,
        uint256 fees
    ) private view returns (uint256 owners, uint256 missed) {
        // It has no leaf, though the number of a leaf stands there.
        if (record.owner == address(0)) return (0, 0);
        uint256 paid = income.perWeightPaid;
        uint256 leaf = _tree.weightOf(record.leaf);
        uint256 weight =
            record.status == Status.Active ? Math.min(leaf, pool.stake / WEI_PER_LEAF_WEIGHT) : 0;
        uint256 gross = RewardMath.gross(weight, perWeight, paid);
        missed = RewardMath.gross(leaf, perWeight, paid) - gross;
        income.perWeightPaid = uint96(perWeight);
        uint256 perShare;
        (perShare, owners) =
            RewardMath.divide(gross + fees, record.commission, pool.shares, income.perShare);
        income.perShare = uint128(perShare);
    }

    function _remaining(Shared memory shared) private pure returns (uint256) {
        uint256 end = shared.endDay * 1 days;
        return end <= shared.settledAt ? 0 : (end - shared.settledAt) * shared.rateGwei * WEI_PER_RATE;
    }
}

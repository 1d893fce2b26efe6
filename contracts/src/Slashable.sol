// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Rewards} from "./Rewards.sol";
import {ICAI} from "./interfaces/ICAI.sol";
import {Role} from "./interfaces/INodeRegistry.sol";
import {IStaking, JAIL_FOREVER} from "./interfaces/IStaking.sol";
import {RewardShare} from "./libraries/RewardShare.sol";
import {SharePool} from "./libraries/SharePool.sol";

/// @title What a fault costs.
/// @notice A slash only counts: it calls no token and pays nobody, so it costs little and nothing can stop it.
abstract contract Slashable is IStaking, Rewards {
    using SafeERC20 for IERC20;

    /// @inheritdoc IStaking
    uint256 public constant MAX_PARTIAL_SLASH = 5_000;
    /// @inheritdoc IStaking
    uint256 public constant MAX_REWARD_SHARE = 5_000;

    uint256 private constant MINIMUM_MINER_STAKE = 20_000 ether;
    uint256 private constant MINIMUM_COORDINATOR_STAKE = 2_000_000 ether;

    /// @inheritdoc IStaking
    address public immutable SLASHING;

    constructor(address slashing) {
        // What they have taken is counted apart and added up.
        if (slashing == DISPUTES || slashing == ESCROW || DISPUTES == ESCROW) revert SlashersNotDistinct();
        SLASHING = slashing;
        _slashed[slashing].made = true;
        _slashed[DISPUTES].made = true;
        _slashed[ESCROW].made = true;
    }

    /// @inheritdoc IStaking
    function slash(address node, uint256 fraction, uint256 rewardShare, uint256 jailSeconds)
        external
        returns (uint256 taken, uint256 reward)
    {
        if (!_isSlasher(msg.sender)) revert NotSlasher(msg.sender);
        bool inBounds = _isWhole(fraction) || (fraction != 0 && fraction <= MAX_PARTIAL_SLASH);
        if (!inBounds || rewardShare > MAX_REWARD_SHARE) revert SlashOutOfBounds(fraction, rewardShare);
        Node memory record = _loadNode(node);
        if (record.role == Role.None) revert NotRegistered(node);

        // Whoever loses everything loses its commission with it, also of what is settled only now.
        if (_isWhole(fraction)) record.commission = 0;
        ActivePool memory pool = _loadPool(node);
        (, Shared memory shared) = _settleNode(node, record, pool);
        uint64 weightBefore = _weightOf(record.status, pool.stake);
        ThawingPool memory thawing = _loadThawing(node);
        // The owner's own stake, at first: mutants are compiled without an optimizer, for which one variable
        // more would be too many.
        reward = _ownStake(node, record.owner, pool);
        uint256 stakeTaken = SharePool.part(pool.stake, fraction);
        pool.stake -= uint96(stakeTaken);
        uint256 unbondingTaken = SharePool.part(thawing.stake, fraction);
        thawing.stake -= uint96(unbondingTaken);
        if (unbondingTaken != 0) _storeThawing(node, thawing);

        record.jailedUntil = _jailEnd(record.jailedUntil, _isWhole(fraction) ? JAIL_FOREVER : jailSeconds);
        {
            bool stays = record.jailedUntil == 0 && _hasEnough(node, record, pool);
            if (record.status == Status.Active && !stays) record.status = Status.Inactive;
        }
        _storeNode(node, record);
        _recordWeight(node, record, pool, weightBefore, shared);
        _storePool(node, pool);

        taken = stakeTaken + unbondingTaken;
        reward = RewardShare.atMost(reward, taken, fraction, rewardShare);
        _book(taken, reward);
        emit Slashed(node, msg.sender, stakeTaken, unbondingTaken, reward, record.jailedUntil);
    }

    /// @inheritdoc IStaking
    function payReward(address account, uint256 amount) external nonReentrant {
        uint256 owed = _slashed[msg.sender].owed;
        if (amount > owed) revert NotOwed(msg.sender, amount, owed);
        _slashed[msg.sender].owed = uint128(owed - amount);
        emit RewardPaid(msg.sender, account, amount);
        IERC20(TOKEN).safeTransfer(account, amount);
    }

    /// @inheritdoc IStaking
    function burnSlashed() external nonReentrant returns (uint256 amount) {
        amount = slashedToBurn();
        if (amount == 0) revert NothingToMove();
        _slashed[SLASHING].toBurn = 0;
        _slashed[DISPUTES].toBurn = 0;
        _slashed[ESCROW].toBurn = 0;
        emit SlashedBurned(amount);
        ICAI(TOKEN).burn(amount);
    }

    /// @inheritdoc IStaking
    function slashableStake(address node) external view returns (uint256 own, uint256 total) {
        ActivePool memory pool = _loadPool(node);
        own = _ownStake(node, _nodes[node].owner, pool);
        total = uint256(pool.stake) + _thawing[node].stake;
    }

    /// @inheritdoc IStaking
    function owedTo(address slasher) external view returns (uint256) {
        return _slashed[slasher].owed;
    }

    /// @inheritdoc IStaking
    function slashedToBurn() public view returns (uint256) {
        uint256 first = uint256(_slashed[SLASHING].toBurn) + _slashed[DISPUTES].toBurn;
        return first + _slashed[ESCROW].toBurn;
    }

    /// @inheritdoc IStaking
    function minimumOwnStake(Role role) public pure returns (uint256) {
        return role == Role.Coordinator ? MINIMUM_COORDINATOR_STAKE : MINIMUM_MINER_STAKE;
    }

    /// @dev Whether the owner's own stake is enough to be active.
    function _hasEnough(address node, Node memory record, ActivePool memory pool)
        internal
        view
        returns (bool)
    {
        return _ownStake(node, record.owner, pool) > minimumOwnStake(record.role);
    }

    function _ownStake(address node, address owner, ActivePool memory pool) internal view returns (uint256) {
        return SharePool.toStake(_holdings[node][owner].shares, pool.stake, pool.shares);
    }

    /// @dev What was taken is owed to the slasher, or to be burned.
    function _book(uint256 taken, uint256 reward) private {
        Proceeds memory slashed = _slashed[msg.sender];
        slashed.toBurn += uint120(taken - reward);
        slashed.owed += uint128(reward);
        _slashed[msg.sender] = slashed;
    }

    function _isWhole(uint256 fraction) private pure returns (bool) {
        return fraction == SharePool.BASIS_POINTS;
    }

    function _isSlasher(address account) private view returns (bool) {
        return account == SLASHING || account == DISPUTES || account == ESCROW;
    }

    /// @dev The later one of two ends of a jail.
    function _jailEnd(uint256 jailedUntil, uint256 jailSeconds) private view returns (uint40) {
        if (jailSeconds == 0) return uint40(jailedUntil);
        uint256 end = Math.min(Math.saturatingAdd(block.timestamp, jailSeconds), JAIL_FOREVER);
        return uint40(Math.max(jailedUntil, end));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Deposit, IEscrow} from "./interfaces/IEscrow.sol";
import {Role} from "./interfaces/INodeRegistry.sol";
import {IStaking} from "./interfaces/IStaking.sol";

/// @title Money that coordinators have put aside for vouchers.
/// @notice Anybody adds to it; it leaves to the coordinator's owner, after notice, within a time.
abstract contract EscrowDeposits is IEscrow, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @dev One slot. 96 bits hold eighty times the supply.
    struct PackedDeposit {
        uint96 balance;
        uint96 leaving;
        uint64 withdrawableFrom;
    }

    /// @inheritdoc IEscrow
    address public immutable STAKING;
    /// @inheritdoc IEscrow
    address public immutable TOKEN;
    /// @inheritdoc IEscrow
    uint256 public immutable NOTICE;
    /// @inheritdoc IEscrow
    uint256 public immutable GRACE;

    mapping(address coordinator => PackedDeposit) internal _deposits;

    modifier onlyOwnerOf(address coordinator) {
        if (IStaking(STAKING).ownerOf(coordinator) != msg.sender) {
            revert NotTheOwner(coordinator, msg.sender);
        }
        _;
    }

    constructor(address staking, uint256 notice, uint256 grace) {
        address expected = IStaking(staking).ESCROW();
        if (expected != address(this)) revert NotTheEscrow(expected);
        uint256 unbondingDelay = IStaking(staking).UNBONDING_DELAY();
        // Saturating, so that no sum is too great to be refused.
        uint256 all = Math.saturatingAdd(Math.saturatingMul(2, notice), grace);
        if (notice == 0 || grace == 0 || all >= unbondingDelay) {
            revert DelaysOutOfBounds(notice, grace, unbondingDelay);
        }
        STAKING = staking;
        TOKEN = IStaking(staking).TOKEN();
        NOTICE = notice;
        GRACE = grace;
    }

    /// @inheritdoc IEscrow
    function deposit(address coordinator, uint256 amount) external nonReentrant {
        _requireRole(coordinator, Role.Coordinator);
        if (amount == 0) revert NothingToMove();
        PackedDeposit storage packed = _deposits[coordinator];
        uint96 balance = SafeCast.toUint96(packed.balance + amount);
        packed.balance = balance;
        emit Deposited(coordinator, msg.sender, amount, balance);
        IERC20(TOKEN).safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IEscrow
    function announceWithdrawal(address coordinator, uint256 amount) external onlyOwnerOf(coordinator) {
        uint96 leaving = SafeCast.toUint96(amount);
        uint64 withdrawableFrom = amount == 0 ? 0 : SafeCast.toUint64(block.timestamp + NOTICE);
        PackedDeposit storage packed = _deposits[coordinator];
        packed.leaving = leaving;
        packed.withdrawableFrom = withdrawableFrom;
        emit WithdrawalAnnounced(coordinator, amount, withdrawableFrom);
    }

    /// @inheritdoc IEscrow
    function withdraw(address coordinator)
        external
        nonReentrant
        onlyOwnerOf(coordinator)
        returns (uint256 amount)
    {
        PackedDeposit storage packed = _deposits[coordinator];
        (uint96 balance, uint96 leaving) = (packed.balance, packed.leaving);
        uint96 leaves = leaving < balance ? leaving : balance;
        if (leaves == 0) revert NothingToMove();
        uint256 from = packed.withdrawableFrom;
        // An announcement lapses: one that stood ready for ever would be no notice.
        uint256 until = from + NOTICE;
        if (block.timestamp < from || block.timestamp > until) revert NotWithdrawable(from, until);

        _deposits[coordinator] = PackedDeposit({balance: balance - leaves, leaving: 0, withdrawableFrom: 0});
        emit DepositWithdrawn(coordinator, msg.sender, leaves);
        IERC20(TOKEN).safeTransfer(msg.sender, leaves);
        return leaves;
    }

    /// @inheritdoc IEscrow
    function depositOf(address coordinator) external view returns (Deposit memory) {
        PackedDeposit storage packed = _deposits[coordinator];
        uint256 from = packed.withdrawableFrom;
        return Deposit({
            balance: packed.balance,
            leaving: packed.leaving,
            withdrawableFrom: from,
            withdrawableUntil: from == 0 ? 0 : from + NOTICE
        });
    }

    /// @dev A registration is never undone, so what was checked once holds.
    function _requireRole(address node, Role role) internal view {
        if (IStaking(STAKING).roleOf(node) != role) revert WrongRole(node, role);
    }
}

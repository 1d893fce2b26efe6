// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EscrowDeposits} from "./EscrowDeposits.sol";
import {Account, IEscrow, Voucher} from "./interfaces/IEscrow.sol";
import {Role} from "./interfaces/INodeRegistry.sol";
import {IStaking} from "./interfaces/IStaking.sol";

/// @title Deposits of coordinators, which pay miners by cumulative signed vouchers.
/// @notice Redeeming books in two slots, the deposit's and the pair's, and moves no token; collecting pays
/// the miner's owner and stakers what was booked. No owner, no upgrade.
contract Escrow is EscrowDeposits, EIP712 {
    using SafeERC20 for IERC20;

    /// @dev One slot: all that redeeming touches besides the deposit.
    struct Pair {
        uint96 paid;
        uint96 promised;
        uint56 bouncedAt;
        bool defaulted;
    }

    /// @dev One slot, which only collecting and defaulting touch.
    struct Payout {
        uint96 collected;
        uint96 compensation;
    }

    /// @inheritdoc IEscrow
    uint256 public constant FEE_SHARE = 1_000;
    /// @inheritdoc IEscrow
    uint256 public constant MAX_PENALTY = 500;
    /// @inheritdoc IEscrow
    /// @dev A penalty is at least a basis point of two million CAI: out of proportion to less than this.
    uint256 public constant MINIMUM_DEBT = 1 ether;
    /// @inheritdoc IEscrow
    uint256 public constant MAX_BATCH = 50;

    uint256 private constant BASIS_POINTS = 10_000;
    uint256 private constant MAX_COMPENSATION_SHARE = 5_000;
    bytes32 private constant VOUCHER_TYPEHASH =
        keccak256("Voucher(address coordinator,address miner,uint256 cumulativeAmount)");

    mapping(address coordinator => mapping(address miner => Pair)) private _pairs;
    mapping(address coordinator => mapping(address miner => Payout)) private _payouts;

    /// @param staking Must have been deployed with this contract's future address as its escrow.
    /// @param notice In seconds; longer than a miner may be away with vouchers to redeem.
    /// @param grace In seconds. Twice the notice and the grace together are shorter than unbonding, so that
    /// stake that began to leave with the deposit can still be slashed for what the deposit leaves unpaid.
    constructor(address staking, uint256 notice, uint256 grace)
        EscrowDeposits(staking, notice, grace)
        EIP712("Cuckoo Escrow", "1")
    {
        // Staking takes fees only when this contract asks it to.
        IERC20(TOKEN).forceApprove(STAKING, type(uint256).max);
    }

    /// @inheritdoc IEscrow
    function redeem(Voucher calldata voucher, bytes calldata signature) external returns (uint256 amount) {
        bool changed;
        (changed, amount) = _redeem(voucher, signature);
        if (!changed) revert NothingToMove();
    }

    /// @inheritdoc IEscrow
    function redeemMany(Voucher[] calldata vouchers, bytes[] calldata signatures)
        external
        returns (uint256 amount)
    {
        if (vouchers.length != signatures.length || vouchers.length > MAX_BATCH) {
            revert BatchOutOfBounds(vouchers.length, signatures.length, MAX_BATCH);
        }
        for (uint256 i = 0; i < vouchers.length; ++i) {
            // Somebody else may have redeemed one of them meanwhile; that must not undo the rest.
            (, uint256 booked) = _redeem(vouchers[i], signatures[i]);
            amount += booked;
        }
    }

    /// @inheritdoc IEscrow
    function settleDebt(address coordinator, address miner) external returns (uint256 amount) {
        bool changed;
        (changed, amount) = _settle(coordinator, miner, _pairs[coordinator][miner].promised);
        if (!changed) revert NothingToMove();
    }

    /// @inheritdoc IEscrow
    function payDebt(address coordinator, address miner) external nonReentrant returns (uint256 amount) {
        Pair storage pair = _pairs[coordinator][miner];
        uint96 promised = pair.promised;
        amount = promised - pair.paid;
        if (amount == 0) revert NothingToMove();
        _pairs[coordinator][miner] =
            Pair({paid: promised, promised: promised, bouncedAt: 0, defaulted: false});
        emit Redeemed(coordinator, miner, amount, promised);
        IERC20(TOKEN).safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IEscrow
    function bounced(address coordinator, address miner)
        external
        nonReentrant
        returns (uint256 taken, uint256 compensation)
    {
        Pair storage pair = _pairs[coordinator][miner];
        (bool changed,) = _settle(coordinator, miner, pair.promised);
        uint256 debt = pair.promised - pair.paid;
        uint256 graceEnd = pair.bouncedAt + GRACE;
        bool punishable = debt >= MINIMUM_DEBT && !pair.defaulted;
        if (punishable && block.timestamp > graceEnd) {
            pair.defaulted = true;
            return _punish(coordinator, miner, debt);
        }
        // Nobody is punished, but what was settled is worth keeping.
        if (changed) return (0, 0);
        if (punishable) revert InGrace(graceEnd);
        revert NoDebt(coordinator, miner);
    }

    /// @inheritdoc IEscrow
    function collect(address miner, address[] calldata coordinators)
        external
        nonReentrant
        returns (uint256 pay)
    {
        if (coordinators.length > MAX_BATCH) {
            revert BatchOutOfBounds(coordinators.length, 0, MAX_BATCH);
        }
        uint256 fees = 0;
        uint256 compensation = 0;
        for (uint256 i = 0; i < coordinators.length; ++i) {
            uint96 paid = _pairs[coordinators[i]][miner].paid;
            Payout storage payout = _payouts[coordinators[i]][miner];
            (uint256 before, uint256 owed) = (payout.collected, payout.compensation);
            // The difference of two roundings, so that nothing depends on how often somebody collects.
            uint256 fee = _feeOf(paid) - _feeOf(before);
            fees += fee;
            pay += paid - before - fee;
            compensation += owed;
            _payouts[coordinators[i]][miner] = Payout({collected: paid, compensation: 0});
        }
        if (pay + fees + compensation == 0) revert NothingToMove();

        address owner = IStaking(STAKING).ownerOf(miner);
        if (owner == address(0)) revert WrongRole(miner, Role.Miner);
        emit Collected(miner, owner, pay, fees, compensation);
        IERC20(TOKEN).safeTransfer(owner, pay);
        if (fees != 0) IStaking(STAKING).addFees(miner, fees);
        if (compensation != 0) IStaking(STAKING).payReward(owner, compensation);
    }

    /// @inheritdoc IEscrow
    function accountOf(address coordinator, address miner) external view returns (Account memory) {
        Pair storage pair = _pairs[coordinator][miner];
        Payout storage payout = _payouts[coordinator][miner];
        return Account({
            promised: pair.promised,
            paid: pair.paid,
            collected: payout.collected,
            compensation: payout.compensation,
            bouncedAt: pair.bouncedAt,
            defaulted: pair.defaulted
        });
    }

    /// @inheritdoc IEscrow
    function voucherDigest(Voucher calldata voucher) public view returns (bytes32) {
        return _hashTypedDataV4(
            keccak256(
                abi.encode(VOUCHER_TYPEHASH, voucher.coordinator, voucher.miner, voucher.cumulativeAmount)
            )
        );
    }

    function _redeem(Voucher calldata voucher, bytes calldata signature)
        private
        returns (bool changed, uint256 amount)
    {
        // ECDSA refuses a high s, a v other than 27 and 28, and the zero address.
        address signer = ECDSA.recoverCalldata(voucherDigest(voucher), signature);
        if (signer != voucher.coordinator) revert VoucherNotByCoordinator(voucher.coordinator, signer);
        return _settle(voucher.coordinator, voucher.miner, voucher.cumulativeAmount);
    }

    /// @dev Pays what is promised and not paid yet, as far as the deposit goes. An older voucher than the
    /// newest known counts as the newest: it says less, and takes nothing back.
    function _settle(address coordinator, address miner, uint256 cumulativeAmount)
        private
        returns (bool changed, uint256 amount)
    {
        Pair memory pair = _pairs[coordinator][miner];
        uint96 known = pair.promised;
        uint96 promised = SafeCast.toUint96(Math.max(known, cumulativeAmount));
        uint96 due = promised - pair.paid;
        uint96 balance = _deposits[coordinator].balance;
        uint96 pays = due < balance ? due : balance;
        if (pays == 0 && promised == known) return (false, 0);

        pair.promised = promised;
        pair.paid += pays;
        if (pays == due) {
            pair.bouncedAt = 0;
            pair.defaulted = false;
        } else if (pair.bouncedAt == 0) {
            _requireRole(coordinator, Role.Coordinator);
            _requireRole(miner, Role.Miner);
            pair.bouncedAt = SafeCast.toUint56(block.timestamp);
            emit VoucherBounced(coordinator, miner, due - pays, block.timestamp + GRACE);
        }
        _pairs[coordinator][miner] = pair;
        if (pays != 0) {
            _deposits[coordinator].balance = balance - pays;
            emit Redeemed(coordinator, miner, pays, pair.paid);
        }
        return (true, pays);
    }

    /// @dev Twice the debt; half of it at most, and never more than the debt, to the miner's owner.
    function _punish(address coordinator, address miner, uint256 debt)
        private
        returns (uint256 taken, uint256 compensation)
    {
        IStaking staking = IStaking(STAKING);
        (, uint256 slashable) = staking.slashableStake(coordinator);
        uint256 share = MAX_COMPENSATION_SHARE;
        uint256 penalty = MAX_PENALTY;
        if (slashable != 0) {
            // Up, so that a penalty is never zero.
            penalty = Math.min(MAX_PENALTY, Math.ceilDiv(2 * debt * BASIS_POINTS, slashable));
            uint256 penaltyAmount = Math.mulDiv(slashable, penalty, BASIS_POINTS);
            if (penaltyAmount != 0) share = Math.min(share, debt * BASIS_POINTS / penaltyAmount);
        }
        (taken, compensation) = staking.slash(coordinator, penalty, share, 0);
        _payouts[coordinator][miner].compensation += SafeCast.toUint96(compensation);
        emit Defaulted(coordinator, miner, debt, taken, compensation);
    }

    function _feeOf(uint256 amount) private pure returns (uint256) {
        return amount * FEE_SHARE / BASIS_POINTS;
    }
}

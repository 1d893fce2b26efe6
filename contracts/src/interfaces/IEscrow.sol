// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Role} from "./INodeRegistry.sol";

/// @notice A promise to pay, signed by a coordinator's node key. The newest replaces the rest.
struct Voucher {
    /// Who pays: a node key registered as a coordinator.
    address coordinator;
    /// Who is paid: a node key registered as a miner.
    address miner;
    /// All that the coordinator has ever promised this miner, in wei of CAI; never falls.
    uint256 cumulativeAmount;
}

/// @notice A coordinator's deposit.
struct Deposit {
    /// In wei of CAI; pays vouchers until it is withdrawn.
    uint256 balance;
    /// How much of it has been announced to leave, in wei of CAI.
    uint256 leaving;
    /// Timestamp in seconds from which `leaving` can be withdrawn; 0 if nothing is announced.
    uint256 withdrawableFrom;
    /// Timestamp in seconds until which it can be withdrawn; then it has to be announced again.
    uint256 withdrawableUntil;
}

/// @notice What has passed between one coordinator and one miner.
struct Account {
    /// The greatest amount of a voucher that was redeemed, in wei of CAI.
    uint256 promised;
    /// How much of it has been paid, in wei of CAI. The difference is the debt.
    uint256 paid;
    /// How much of that was sent on to the miner's owner and stakers, in wei of CAI.
    uint256 collected;
    /// What the miner's owner gets of the coordinator's penalty and has not collected, in wei of CAI.
    uint256 compensation;
    /// Timestamp in seconds of the voucher that made the debt; 0 without debt.
    uint256 bouncedAt;
    /// The debt has been punished.
    bool defaulted;
}

/// @title Deposits of coordinators, which pay miners by cumulative signed vouchers.
/// @notice However many tasks, one voucher pays for all of them, at the same cost.
interface IEscrow {
    /// @notice A deposit has grown to `balance`.
    event Deposited(address indexed coordinator, address indexed payer, uint256 amount, uint256 balance);
    /// @notice `amount` of a deposit can be withdrawn from `withdrawableFrom` on; 0 takes an announcement back.
    event WithdrawalAnnounced(address indexed coordinator, uint256 amount, uint256 withdrawableFrom);
    /// @notice Part of a deposit has gone back to the coordinator's owner.
    event DepositWithdrawn(address indexed coordinator, address indexed owner, uint256 amount);
    /// @notice A voucher, a settlement or somebody else has paid `amount`; `paid` is the total until now.
    event Redeemed(address indexed coordinator, address indexed miner, uint256 amount, uint256 paid);
    /// @notice A deposit was too small for a voucher. The debt can be paid until `graceEnd`.
    event VoucherBounced(address indexed coordinator, address indexed miner, uint256 debt, uint256 graceEnd);
    /// @notice A coordinator was slashed for a debt.
    event Defaulted(
        address indexed coordinator, address indexed miner, uint256 debt, uint256 taken, uint256 compensation
    );
    /// @notice A miner's owner and stakers have received what was paid.
    event Collected(
        address indexed miner, address indexed owner, uint256 pay, uint256 fees, uint256 compensation
    );

    /// @notice The staking contract lets another contract slash for bounced vouchers.
    error NotTheEscrow(address expected);
    /// @notice Twice the notice and the grace have to be shorter than unbonding together, and neither zero.
    error DelaysOutOfBounds(uint256 notice, uint256 grace, uint256 unbondingDelay);
    /// @notice Coordinators have deposits and debts, miners are paid; this node is not registered as that.
    error WrongRole(address node, Role expected);
    /// @notice The coordinator's owner is another account.
    error NotTheOwner(address coordinator, address account);
    /// @notice Nothing to deposit, to withdraw, to redeem, to settle or to collect.
    error NothingToMove();
    /// @notice The announced withdrawal is possible from `from` until `until`, timestamps in seconds.
    error NotWithdrawable(uint256 from, uint256 until);
    /// @notice The voucher was signed by `signer`, or says something else.
    error VoucherNotByCoordinator(address coordinator, address signer);
    /// @notice Each voucher needs its signature, and a batch takes at most `limit`.
    error BatchOutOfBounds(uint256 vouchers, uint256 signatures, uint256 limit);
    /// @notice There is no debt of at least `MINIMUM_DEBT`, or it has been punished.
    error NoDebt(address coordinator, address miner);
    /// @notice The debt can still be paid until `graceEnd`, a timestamp in seconds.
    error InGrace(uint256 graceEnd);

    /// @notice Adds to a coordinator's deposit. Anybody may; it is the coordinator's from then on.
    /// @param coordinator A node key registered as a coordinator.
    /// @param amount In wei of CAI; needs allowance.
    function deposit(address coordinator, uint256 amount) external;

    /// @notice Announces that part of a deposit will leave. It goes on paying vouchers meanwhile. Replaces an
    /// earlier announcement; 0 takes it back. Only the coordinator's owner.
    /// @param coordinator Of the caller's.
    /// @param amount In wei of CAI; if less is left when the time comes, that is what leaves.
    function announceWithdrawal(address coordinator, uint256 amount) external;

    /// @notice Pays out what was announced, `NOTICE` after it was and for as long again. Only the
    /// coordinator's owner.
    /// @param coordinator Of the caller's.
    /// @return amount In wei of CAI.
    function withdraw(address coordinator) external returns (uint256 amount);

    /// @notice Books what a voucher is worth beyond what has been paid, as far as the deposit goes; the rest
    /// becomes a debt. Anybody may.
    /// @param voucher What was promised.
    /// @param signature 65 bytes r‖s‖v by the coordinator's node key over `voucherDigest`.
    /// @return amount Booked for the miner, in wei of CAI.
    function redeem(Voucher calldata voucher, bytes calldata signature) external returns (uint256 amount);

    /// @notice As `redeem`, for several. Those that are worth nothing more are passed over.
    /// @param vouchers At most `MAX_BATCH`.
    /// @param signatures One for each.
    /// @return amount Booked for all, in wei of CAI.
    function redeemMany(Voucher[] calldata vouchers, bytes[] calldata signatures)
        external
        returns (uint256 amount);

    /// @notice Pays a debt out of the deposit, as far as that goes. Anybody may.
    /// @param coordinator Who owes.
    /// @param miner Who is owed.
    /// @return amount In wei of CAI.
    function settleDebt(address coordinator, address miner) external returns (uint256 amount);

    /// @notice Pays a whole debt out of the caller's pocket, past the deposit and whoever draws on it.
    /// @param coordinator Who owes.
    /// @param miner Who is owed.
    /// @return amount In wei of CAI; needs allowance.
    function payDebt(address coordinator, address miner) external returns (uint256 amount);

    /// @notice Slashes a coordinator for a debt whose grace is over, once: twice the debt, at most
    /// `MAX_PENALTY` of its stake. Pays what the deposit has first; if that is enough, nothing else happens.
    /// Anybody may.
    /// @param coordinator Who owes.
    /// @param miner Who is owed; its owner gets part of what is taken, at most the debt.
    /// @return taken In wei of CAI.
    /// @return compensation In wei of CAI.
    function bounced(address coordinator, address miner)
        external
        returns (uint256 taken, uint256 compensation);

    /// @notice Sends what has been booked for a miner to its owner, less `FEE_SHARE`, which goes to those who
    /// stake behind it. Anybody may.
    /// @param miner A registered node key.
    /// @param coordinators Who paid; at most `MAX_BATCH`.
    /// @return pay To the owner, in wei of CAI, without compensations.
    function collect(address miner, address[] calldata coordinators) external returns (uint256 pay);

    /// @notice A coordinator's deposit.
    /// @param coordinator The node key.
    function depositOf(address coordinator) external view returns (Deposit memory);

    /// @notice What has passed between a coordinator and a miner.
    /// @param coordinator The node key that pays.
    /// @param miner The node key that is paid.
    function accountOf(address coordinator, address miner) external view returns (Account memory);

    /// @notice The EIP-712 digest of `Voucher(address coordinator,address miner,uint256 cumulativeAmount)`.
    /// @param voucher What is promised.
    function voucherDigest(Voucher calldata voucher) external view returns (bytes32);

    /// @notice The staking contract.
    function STAKING() external view returns (address);

    /// @notice The ERC-20 that pays.
    function TOKEN() external view returns (address);

    /// @notice Seconds from an announcement until the deposit may leave, and again until that lapses.
    function NOTICE() external view returns (uint256);

    /// @notice Seconds in which a debt can be paid without a penalty.
    function GRACE() external view returns (uint256);

    /// @notice The part of a miner's pay that goes to those who stake behind it, in basis points.
    function FEE_SHARE() external view returns (uint256);

    /// @notice The most of a coordinator's stake that one debt costs, in basis points.
    function MAX_PENALTY() external view returns (uint256);

    /// @notice Smaller debts are not punished, in wei of CAI.
    function MINIMUM_DEBT() external view returns (uint256);

    /// @notice The most vouchers or coordinators in one call.
    function MAX_BATCH() external view returns (uint256);
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {DevelopmentCAI} from "../../src/DevelopmentCAI.sol";
import {Account, Deposit, IEscrow, Voucher} from "../../src/interfaces/IEscrow.sol";
import {IStaking} from "../../src/interfaces/IStaking.sol";

/// @notice Coordinators that deposit, promise more than they have, and leave; everybody redeems, settles,
/// punishes and collects in any order. Keeps its own books.
contract EscrowHandler is Base {
    uint256 internal constant COORDINATORS = 2;
    uint256 internal constant MINERS = 3;
    address internal constant PAYER = address(0xBA9E);

    DevelopmentCAI internal immutable TOKEN;
    IEscrow internal immutable ESCROW;
    IStaking internal immutable STAKING;

    uint256 public donated;
    mapping(address coordinator => uint256) public deposited;
    mapping(address coordinator => uint256) public withdrawn;
    mapping(address coordinator => uint256) public paidByOthers;
    mapping(address coordinator => uint256) public taken;
    mapping(address coordinator => uint256) public bounces;
    mapping(address coordinator => uint256) public defaults;
    mapping(address coordinator => mapping(address miner => uint256)) public newest;
    mapping(address coordinator => mapping(address miner => uint256)) public received;
    mapping(address miner => uint256) public compensated;
    /// @dev Must stay false.
    bool public punishedWithoutCause;
    bool public leftWithoutNotice;
    /// @dev Since when there has been a debt, by our own clock; 0: there is none.
    mapping(address coordinator => mapping(address miner => uint256)) internal _since;
    mapping(address coordinator => uint256) internal _announcedAt;

    address[] internal _coordinators;
    address[] internal _miners;

    constructor(DevelopmentCAI token, IEscrow escrow, IStaking staking) {
        (TOKEN, ESCROW, STAKING) = (token, escrow, staking);
        for (uint256 i = 0; i < COORDINATORS; ++i) {
            _coordinators.push(vm.addr(coordinatorKey(i)));
        }
        for (uint256 i = 0; i < MINERS; ++i) {
            _miners.push(vm.addr(minerKey(i)));
        }
        vm.prank(PAYER);
        token.approve(address(escrow), type(uint256).max);
    }

    function deposit(uint256 seed, uint256 amount) external {
        amount = amountOf(amount);
        vm.prank(PAYER);
        ESCROW.deposit(coordinator(seed), amount);
        deposited[coordinator(seed)] += amount;
    }

    /// @dev A greater voucher than before, which may wait; the coordinator looks at no balance.
    function promiseMore(uint256 seed, uint256 minerSeed, uint256 amount, bool keep) external {
        newest[coordinator(seed)][miner(minerSeed)] += amountOf(amount);
        if (!keep) redeemUpTo(seed, minerSeed, newest[coordinator(seed)][miner(minerSeed)]);
    }

    /// @dev Any voucher up to the newest: a miner may have kept each of them.
    function redeem(uint256 seed, uint256 minerSeed, uint256 amount) external {
        uint256 most = newest[coordinator(seed)][miner(minerSeed)];
        if (most != 0) redeemUpTo(seed, minerSeed, bound(amount, 1, most));
    }

    function redeemUpTo(uint256 seed, uint256 minerSeed, uint256 amount) internal {
        Voucher memory voucher = Voucher(coordinator(seed), miner(minerSeed), amount);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(coordinatorKey(seed), ESCROW.voucherDigest(voucher));
        Voucher[] memory vouchers = new Voucher[](2);
        bytes[] memory signatures = new bytes[](2);
        // Twice at once: the second one must be worth nothing.
        (vouchers[0], vouchers[1]) = (voucher, voucher);
        (signatures[0], signatures[1]) = (abi.encodePacked(r, s, v), abi.encodePacked(r, s, v));
        ESCROW.redeemMany(vouchers, signatures);
        watch(voucher.coordinator, voucher.miner);
    }

    /// @dev After whatever may begin or end a debt.
    function watch(address from, address to) internal {
        if (!inDebt(from, to)) {
            _since[from][to] = 0;
        } else if (_since[from][to] == 0) {
            ++bounces[from];
            _since[from][to] = vm.getBlockTimestamp();
        }
    }

    function settle(uint256 seed, uint256 minerSeed) external {
        (address from, address to) = (coordinator(seed), miner(minerSeed));
        if (inDebt(from, to) && ESCROW.depositOf(from).balance != 0) ESCROW.settleDebt(from, to);
        watch(from, to);
    }

    function payDebt(uint256 seed, uint256 minerSeed) external {
        (address from, address to) = (coordinator(seed), miner(minerSeed));
        if (!inDebt(from, to)) return;
        vm.prank(PAYER);
        paidByOthers[from] += ESCROW.payDebt(from, to);
        watch(from, to);
    }

    /// @dev Tries at any time, and knows by its own clock what has to come of it.
    function punish(uint256 seed, uint256 minerSeed) external {
        (address from, address to) = (coordinator(seed), miner(minerSeed));
        Account memory account = ESCROW.accountOf(from, to);
        uint256 debt = account.promised - account.paid;
        uint256 cover = ESCROW.depositOf(from).balance;
        if (cover >= debt) cover = debt;
        bool due = debt - cover >= ESCROW.MINIMUM_DEBT() && !account.defaulted;
        due = due && vm.getBlockTimestamp() > _since[from][to] + ESCROW.GRACE();
        (bool accepted, bytes memory result) =
            address(ESCROW).call(abi.encodeCall(ESCROW.bounced, (from, to)));
        vm.assertTrue(
            accepted == (due || cover != 0), "accepted if there is a penalty or something to settle"
        );
        if (!accepted) return;
        watch(from, to);
        (uint256 amount, uint256 compensation) = abi.decode(result, (uint256, uint256));
        if (!due && amount != 0) punishedWithoutCause = true;
        if (due) ++defaults[from];
        taken[from] += amount;
        compensated[to] += compensation;
    }

    function collect(uint256 minerSeed, uint256 seed) external {
        (address from, address to) = (coordinator(seed), miner(minerSeed));
        Account memory account = ESCROW.accountOf(from, to);
        if (account.paid == account.collected && account.compensation == 0) return;
        address[] memory payers = new address[](2);
        (payers[0], payers[1]) = (from, from);
        received[from][to] += ESCROW.collect(to, payers);
    }

    function announce(uint256 seed, uint256 amount) external {
        vm.prank(ownerOf(coordinator(seed)));
        ESCROW.announceWithdrawal(coordinator(seed), amountOf(amount));
        _announcedAt[coordinator(seed)] = vm.getBlockTimestamp();
    }

    /// @dev Tries at any time; the contract decides.
    function withdraw(uint256 seed) external {
        address from = coordinator(seed);
        uint256 before = TOKEN.balanceOf(ownerOf(from));
        vm.prank(ownerOf(from));
        (bool accepted,) = address(ESCROW).call(abi.encodeCall(ESCROW.withdraw, (from)));
        if (!accepted) return;
        withdrawn[from] += TOKEN.balanceOf(ownerOf(from)) - before;
        uint256 waited = vm.getBlockTimestamp() - _announcedAt[from];
        uint256 notice = ESCROW.NOTICE();
        if (_announcedAt[from] == 0 || waited < notice || waited > 2 * notice) leftWithoutNotice = true;
        _announcedAt[from] = 0;
    }

    function wait(uint256 seconds_) external {
        vm.warp(vm.getBlockTimestamp() + bound(seconds_, 1 hours, 3 days));
    }

    function donate(uint256 amount) external {
        amount = bound(amount, 1, 1 ether);
        vm.prank(PAYER);
        TOKEN.transfer(address(ESCROW), amount);
        donated += amount;
    }

    /// @dev Usually dust, sometimes a lot: rounding hides in dust.
    function amountOf(uint256 amount) internal pure returns (uint256) {
        return bound(amount, 1, amount % 3 == 0 ? 30 : 3_000 ether);
    }

    function inDebt(address from, address to) public view returns (bool) {
        Account memory account = ESCROW.accountOf(from, to);
        return account.paid < account.promised;
    }

    function ownerOf(address node) public view returns (address) {
        return STAKING.ownerOf(node);
    }

    function coordinatorKey(uint256 seed) public pure returns (uint256) {
        return 0xC0040 + seed % COORDINATORS;
    }

    function minerKey(uint256 seed) public pure returns (uint256) {
        return 0x313E0 + seed % MINERS;
    }

    function coordinator(uint256 seed) public view returns (address) {
        return _coordinators[seed % COORDINATORS];
    }

    function miner(uint256 seed) public view returns (address) {
        return _miners[seed % MINERS];
    }

    function coordinators() external pure returns (uint256) {
        return COORDINATORS;
    }

    function miners() external pure returns (uint256) {
        return MINERS;
    }

    function payer() external pure returns (address) {
        return PAYER;
    }
}

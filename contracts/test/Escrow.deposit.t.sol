// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MarketFixture} from "./MarketFixture.sol";
import {Deposit, IEscrow} from "../src/interfaces/IEscrow.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";
import {JAIL_FOREVER} from "../src/interfaces/IStaking.sol";

/// @notice How money enters a deposit, and with how much notice it leaves.
contract EscrowDepositTest is MarketFixture {
    function test_anybody_can_add_to_a_deposit() public {
        depositAs(COORDINATOR_OWNER, 100 ether);
        vm.expectEmit(address(escrow));
        emit IEscrow.Deposited(coordinator, STRANGER, 50 ether, 150 ether);
        depositAs(STRANGER, 50 ether);
        vm.assertEq(escrow.depositOf(coordinator).balance, 150 ether, "both");
        vm.assertEq(token.balanceOf(address(escrow)), 150 ether, "held");
    }

    function test_without_an_announcement_nothing_is_withdrawable_at_any_time() public {
        depositAs(COORDINATOR_OWNER, 100 ether);
        Deposit memory deposit = escrow.depositOf(coordinator);
        vm.assertEq(deposit.leaving, 0, "nothing leaves");
        vm.assertEq(deposit.withdrawableFrom, 0, "from no time");
        vm.assertEq(deposit.withdrawableUntil, 0, "until none");
    }

    function test_only_a_coordinator_has_a_deposit() public {
        refuseDeposit(node);
        refuseDeposit(otherNode);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NothingToMove.selector));
        depositAs(STRANGER, 0);
    }

    function refuseDeposit(address node_) internal {
        vm.expectRevert(abi.encodeWithSelector(IEscrow.WrongRole.selector, node_, Role.Coordinator));
        vm.prank(STRANGER);
        escrow.deposit(node_, 1 ether);
    }

    function test_a_withdrawal_needs_notice_and_then_pays_the_owner() public {
        depositAs(COORDINATOR_OWNER, 100 ether);
        uint256 from = vm.getBlockTimestamp() + NOTICE;
        vm.expectEmit(address(escrow));
        emit IEscrow.WithdrawalAnnounced(coordinator, 60 ether, from);
        announce(60 ether);
        Deposit memory deposit = escrow.depositOf(coordinator);
        vm.assertEq(deposit.leaving, 60 ether, "leaving");
        vm.assertEq(deposit.withdrawableFrom, from, "from");
        vm.assertEq(deposit.withdrawableUntil, from + NOTICE, "until");

        vm.warp(from - 1);
        refuseWithdrawal(from);
        vm.warp(from);
        uint256 before = token.balanceOf(COORDINATOR_OWNER);
        vm.assertEq(withdraw(), 60 ether, "amount");
        vm.assertEq(token.balanceOf(COORDINATOR_OWNER), before + 60 ether, "paid");
        vm.assertEq(escrow.depositOf(coordinator).balance, 40 ether, "left");
        vm.assertEq(escrow.depositOf(coordinator).withdrawableFrom, 0, "the announcement is used up");
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NothingToMove.selector));
        withdraw();
    }

    function test_an_announcement_lapses_so_nobody_has_one_in_stock() public {
        depositAs(COORDINATOR_OWNER, 100 ether);
        announce(60 ether);
        uint256 from = vm.getBlockTimestamp() + NOTICE;
        vm.warp(from + NOTICE + 1);
        refuseWithdrawal(from);
        vm.warp(from + NOTICE);
        vm.assertEq(withdraw(), 60 ether, "to the last second");
    }

    function test_a_new_announcement_starts_the_notice_again() public {
        depositAs(COORDINATOR_OWNER, 100 ether);
        announce(60 ether);
        vm.warp(vm.getBlockTimestamp() + NOTICE);
        announce(70 ether);
        refuseWithdrawal(vm.getBlockTimestamp() + NOTICE);
        announce(0);
        vm.assertEq(escrow.depositOf(coordinator).withdrawableFrom, 0, "taken back");
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NothingToMove.selector));
        withdraw();
    }

    function test_a_deposit_pays_vouchers_during_the_notice() public {
        depositAs(COORDINATOR_OWNER, 100 ether);
        announce(100 ether);
        vm.warp(vm.getBlockTimestamp() + NOTICE);
        // In the same second as the withdrawal: whoever comes first.
        vm.assertEq(redeem(70 ether), 70 ether, "redeemed");
        vm.assertEq(withdraw(), 30 ether, "what is left");
        vm.assertEq(token.balanceOf(address(escrow)), 70 ether, "held = booked");
    }

    function test_only_the_coordinators_owner_withdraws() public {
        depositAs(STRANGER, 100 ether);
        bytes memory refusal = abi.encodeWithSelector(IEscrow.NotTheOwner.selector, coordinator, STRANGER);
        vm.expectRevert(refusal);
        vm.prank(STRANGER);
        escrow.announceWithdrawal(coordinator, 1 ether);
        announce(100 ether);
        vm.warp(vm.getBlockTimestamp() + NOTICE);
        vm.expectRevert(refusal);
        vm.prank(STRANGER);
        escrow.withdraw(coordinator);
    }

    function test_a_jailed_coordinator_can_pay_and_leave() public {
        depositAs(COORDINATOR_OWNER, 100 ether);
        vm.prank(address(slashing));
        staking.slash(coordinator, 10_000, 0, JAIL_FOREVER);
        vm.assertEq(redeem(10 ether), 10 ether, "pays");
        depositAs(STRANGER, 5 ether);
        announce(95 ether);
        vm.warp(vm.getBlockTimestamp() + NOTICE);
        vm.assertEq(withdraw(), 95 ether, "leaves");
    }

    function test_bounds_of_the_delays() public {
        refuseDelays(0, GRACE);
        refuseDelays(NOTICE, 0);
        refuseDelays(type(uint256).max, GRACE);
        refuseDelays(NOTICE, type(uint256).max);
        refuseDelays((UNBONDING_DELAY - GRACE) / 2, GRACE);
        address other = address(newStaking(created(2), created(3), created(1)));
        IEscrow(create("Escrow", abi.encode(other, (UNBONDING_DELAY - GRACE) / 2 - 1, GRACE)));
        vm.expectRevert(revertOf(IEscrow.NotTheEscrow.selector, address(escrow)));
        IEscrow(create("Escrow", abi.encode(address(staking), NOTICE, GRACE)));
    }

    /// @dev At the address that staking expects, so that only the delays are wrong.
    function refuseDelays(uint256 notice, uint256 grace) internal {
        address other = address(newStaking(created(2), created(3), created(1)));
        bytes4 selector = IEscrow.DelaysOutOfBounds.selector;
        vm.expectRevert(abi.encodeWithSelector(selector, notice, grace, UNBONDING_DELAY));
        IEscrow(create("Escrow", abi.encode(other, notice, grace)));
    }

    function announce(uint256 amount) internal {
        vm.prank(COORDINATOR_OWNER);
        escrow.announceWithdrawal(coordinator, amount);
    }

    function withdraw() internal returns (uint256) {
        vm.prank(COORDINATOR_OWNER);
        return escrow.withdraw(coordinator);
    }

    function refuseWithdrawal(uint256 from) internal {
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NotWithdrawable.selector, from, from + NOTICE));
        withdraw();
    }
}

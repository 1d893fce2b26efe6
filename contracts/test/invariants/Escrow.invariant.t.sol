// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {NetworkFixture} from "../NetworkFixture.sol";
import {EscrowHandler} from "./EscrowHandler.sol";
import {Role} from "../../src/interfaces/INodeRegistry.sol";
import {Account, Deposit} from "../../src/interfaces/IEscrow.sol";

/// @notice What holds of deposits, vouchers and debts after any sequence of calls.
contract EscrowInvariants is NetworkFixture {
    uint256 internal constant FUNDED = 10_000_000 ether;

    EscrowHandler internal handler;

    function setUp() public override {
        super.setUp();
        handler = new EscrowHandler(token, escrow, staking);
        token.transfer(handler.payer(), 50 * FUNDED);
        for (uint256 i = 0; i < handler.coordinators(); ++i) {
            fund(coordinatorOwner(i));
            registerAs(Role.Coordinator, handler.coordinatorKey(i), coordinatorOwner(i), COORDINATOR_STAKE);
        }
        for (uint256 i = 0; i < handler.miners(); ++i) {
            fund(minerOwner(i));
            registerAs(Role.Miner, handler.minerKey(i), minerOwner(i), MINER_STAKE);
        }
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function coordinatorOwner(uint256 i) internal pure returns (address) {
        return address(uint160(0xC0FFEE000 + i));
    }

    function minerOwner(uint256 i) internal pure returns (address) {
        return address(uint160(0x313E5000 + i));
    }

    /// @dev One campaign for all of them, as each would make the same calls again.
    function invariant_all() external view {
        nobody_is_paid_more_than_its_newest_voucher();
        held_is_deposits_and_what_is_booked();
        a_coordinator_pays_what_it_has_put_in_and_no_more();
        the_owner_gets_the_pay_less_the_fee();
        only_debts_are_punished_and_each_once();
        nothing_leaves_without_notice();
    }

    function held_is_deposits_and_what_is_booked() internal view {
        uint256 owed = handler.donated();
        for (uint256 i = 0; i < handler.coordinators(); ++i) {
            owed += escrow.depositOf(handler.coordinator(i)).balance;
            for (uint256 j = 0; j < handler.miners(); ++j) {
                Account memory account = escrow.accountOf(handler.coordinator(i), handler.miner(j));
                owed += account.paid - account.collected;
            }
        }
        vm.assertEq(token.balanceOf(address(escrow)), owed, "held = deposits + booked");
    }

    function a_coordinator_pays_what_it_has_put_in_and_no_more() internal view {
        for (uint256 i = 0; i < handler.coordinators(); ++i) {
            address from = handler.coordinator(i);
            uint256 paid = 0;
            for (uint256 j = 0; j < handler.miners(); ++j) {
                paid += escrow.accountOf(from, handler.miner(j)).paid;
            }
            vm.assertEq(
                paid + escrow.depositOf(from).balance + handler.withdrawn(from),
                handler.deposited(from) + handler.paidByOthers(from),
                "paid + left + withdrawn = deposited + paid by others"
            );
        }
    }

    function nobody_is_paid_more_than_its_newest_voucher() internal view {
        for (uint256 i = 0; i < handler.coordinators(); ++i) {
            for (uint256 j = 0; j < handler.miners(); ++j) {
                (address from, address to) = (handler.coordinator(i), handler.miner(j));
                Account memory account = escrow.accountOf(from, to);
                vm.assertLe(account.promised, handler.newest(from, to), "promised");
                vm.assertLe(account.paid, account.promised, "paid");
                vm.assertLe(account.collected, account.paid, "collected");
                vm.assertTrue(
                    (account.bouncedAt != 0) == (account.paid < account.promised), "a debt is dated"
                );
                vm.assertTrue(!account.defaulted || account.bouncedAt != 0, "punished for a debt");
            }
        }
    }

    function the_owner_gets_the_pay_less_the_fee() internal view {
        for (uint256 j = 0; j < handler.miners(); ++j) {
            address to = handler.miner(j);
            uint256 due = 0;
            uint256 waiting = 0;
            for (uint256 i = 0; i < handler.coordinators(); ++i) {
                Account memory account = escrow.accountOf(handler.coordinator(i), to);
                uint256 pay = account.collected - account.collected / 10;
                vm.assertEq(handler.received(handler.coordinator(i), to), pay, "nine tenths, to the wei");
                due += pay;
                waiting += account.compensation;
            }
            vm.assertEq(
                token.balanceOf(minerOwner(j)) + MINER_STAKE + waiting,
                FUNDED + due + handler.compensated(to),
                "pay and compensation, nothing else"
            );
        }
    }

    function only_debts_are_punished_and_each_once() internal view {
        vm.assertTrue(!handler.punishedWithoutCause(), "no penalty without a debt past its grace");
        for (uint256 i = 0; i < handler.coordinators(); ++i) {
            address from = handler.coordinator(i);
            vm.assertLe(handler.defaults(from), handler.bounces(from), "a penalty a debt");
            uint256 stake = staking.nodeInfo(from).totalStake;
            vm.assertEq(stake + handler.taken(from), COORDINATOR_STAKE, "nothing else takes stake");
        }
    }

    function nothing_leaves_without_notice() internal view {
        vm.assertTrue(!handler.leftWithoutNotice(), "notice");
    }
}

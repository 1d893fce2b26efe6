// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MarketFixture} from "./MarketFixture.sol";
import {Account, IEscrow, Voucher} from "../src/interfaces/IEscrow.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";
import {JAIL_FOREVER} from "../src/interfaces/IStaking.sol";

/// @notice What becomes of a promise that the deposit does not cover.
contract EscrowDebtTest is MarketFixture {
    function setUp() public override {
        super.setUp();
        depositAs(COORDINATOR_OWNER, 100 ether);
    }

    function passGrace() internal {
        vm.warp(vm.getBlockTimestamp() + GRACE + 1);
    }

    function stakeOf(address node_) internal view returns (uint256) {
        return staking.nodeInfo(node_).totalStake;
    }

    function test_a_bounced_voucher_pays_what_is_there_and_leaves_a_debt() public {
        uint256 graceEnd = vm.getBlockTimestamp() + GRACE;
        vm.expectEmit(address(escrow));
        emit IEscrow.VoucherBounced(coordinator, node, 50 ether, graceEnd);
        vm.assertEq(redeem(150 ether), 100 ether, "what is there");
        Account memory account = escrow.accountOf(coordinator, node);
        vm.assertEq(account.promised - account.paid, 50 ether, "debt");
        vm.assertEq(account.bouncedAt, vm.getBlockTimestamp(), "since now");
        vm.assertEq(escrow.depositOf(coordinator).balance, 0, "empty");
        refuseBounced(abi.encodeWithSelector(IEscrow.InGrace.selector, graceEnd));
    }

    function refuseBounced(bytes memory refusal) internal {
        vm.expectRevert(refusal);
        escrow.bounced(coordinator, node);
    }

    function noDebt() internal view returns (bytes memory) {
        return abi.encodeWithSelector(IEscrow.NoDebt.selector, coordinator, node);
    }

    function test_anybody_can_top_up_in_the_grace_and_nobody_is_slashed() public {
        redeem(150 ether);
        depositAs(STRANGER, 60 ether);
        passGrace();
        (uint256 taken, uint256 compensation) = escrow.bounced(coordinator, node);
        vm.assertEq(taken + compensation, 0, "nobody");
        vm.assertEq(escrow.accountOf(coordinator, node).paid, 150 ether, "settled on the way");
        vm.assertEq(escrow.depositOf(coordinator).balance, 10 ether, "the rest stays");
        vm.assertEq(stakeOf(coordinator), COORDINATOR_STAKE, "stake");
        refuseBounced(noDebt());
    }

    function test_a_debt_can_be_paid_past_a_deposit_that_others_draw_on() public {
        redeem(150 ether);
        uint256 before = token.balanceOf(STRANGER);
        vm.prank(STRANGER);
        vm.assertEq(escrow.payDebt(coordinator, node), 50 ether, "the debt");
        vm.assertEq(token.balanceOf(STRANGER), before - 50 ether, "out of the pocket");
        Account memory account = escrow.accountOf(coordinator, node);
        vm.assertTrue(account.bouncedAt == 0 && !account.defaulted, "no debt");
        vm.assertEq(collect(), 135 ether, "for the miner");
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NothingToMove.selector));
        vm.prank(STRANGER);
        escrow.payDebt(coordinator, node);
    }

    function test_settling_needs_no_voucher() public {
        redeem(150 ether);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NothingToMove.selector));
        escrow.settleDebt(coordinator, node);
        depositAs(STRANGER, 20 ether);
        vm.assertEq(escrow.settleDebt(coordinator, node), 20 ether, "what is there");
        depositAs(STRANGER, 40 ether);
        vm.assertEq(escrow.settleDebt(coordinator, node), 30 ether, "what is owed");
        vm.assertEq(escrow.accountOf(coordinator, node).bouncedAt, 0, "no debt");
    }

    function test_after_the_grace_twice_the_debt_is_taken_and_half_of_it_compensates() public {
        // A basis point of the coordinator's stake is 200 CAI and a bit.
        redeem(100 ether + 1_000 ether);
        passGrace();
        (uint256 taken, uint256 compensation) = escrow.bounced(coordinator, node);
        vm.assertGe(taken, 2_000 ether, "twice the debt");
        vm.assertLe(taken, 2_000 ether + COORDINATOR_STAKE / 10_000, "rounded up to a basis point");
        vm.assertLe(compensation, 1_000 ether, "at most the debt");
        vm.assertGe(compensation, 990 ether, "and nearly all of it");
        vm.assertEq(staking.nodeInfo(coordinator).jailedUntil, 0, "not jailed");
        vm.assertEq(stakeOf(coordinator), COORDINATOR_STAKE - taken, "stake");

        uint256 before = token.balanceOf(OWNER);
        collect();
        vm.assertEq(token.balanceOf(OWNER), before + 90 ether + compensation, "pay and compensation");
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NothingToMove.selector));
        collect();
    }

    function test_compensations_of_several_coordinators_come_at_once() public {
        registerAs(Role.Coordinator, SECOND_COORDINATOR_KEY, COORDINATOR_OWNER, COORDINATOR_STAKE);
        redeem(1_100 ether);
        Voucher memory terms = Voucher(secondCoordinator, node, 2_000 ether);
        escrow.redeem(terms, signVoucher(SECOND_COORDINATOR_KEY, terms));
        passGrace();
        (, uint256 first) = escrow.bounced(coordinator, node);
        (, uint256 second) = escrow.bounced(secondCoordinator, node);
        address[] memory both = new address[](2);
        (both[0], both[1]) = (coordinator, secondCoordinator);
        uint256 before = token.balanceOf(OWNER);
        escrow.collect(node, both);
        vm.assertEq(token.balanceOf(OWNER), before + 90 ether + first + second, "both, and the pay of one");
    }

    /// @dev The coordinator takes out all but so many wei of its stake.
    function leaveBut(uint256 amount) internal {
        vm.startPrank(COORDINATOR_OWNER);
        uint256 shares = staking.sharesOf(coordinator, COORDINATOR_OWNER) - amount * 1e3;
        uint256 requestId = staking.unvote(coordinator, shares);
        passUnbonding();
        staking.withdraw(coordinator, requestId);
        vm.stopPrank();
    }

    /// @dev Of forty wei of stake a twentieth is taken, and half of it compensates.
    function test_a_compensation_of_one_wei_is_paid() public {
        leaveBut(40);
        redeem(1_100 ether);
        passGrace();
        (uint256 taken, uint256 compensation) = escrow.bounced(coordinator, node);
        vm.assertTrue(taken == 2 && compensation == 1, "two wei, one for the miner's owner");
        uint256 before = token.balanceOf(OWNER);
        collect();
        vm.assertEq(token.balanceOf(OWNER), before + 90 ether + 1, "pay and compensation");
    }

    function test_a_penalty_of_nothing_is_one_all_the_same() public {
        leaveBut(10);
        redeem(1_100 ether);
        passGrace();
        (uint256 taken, uint256 compensation) = escrow.bounced(coordinator, node);
        vm.assertEq(taken + compensation, 0, "a twentieth of ten wei");
        vm.assertTrue(escrow.accountOf(coordinator, node).defaulted, "punished");
    }

    /// @dev Twice the debt is a basis point of the stake, but for a part of a wei.
    function test_a_debt_is_compensated_to_the_wei_where_shares_allow_it() public {
        vm.prank(COORDINATOR_OWNER);
        staking.stake(coordinator, 1);
        uint256 debt = COORDINATOR_STAKE / 20_000;
        redeem(100 ether + debt);
        passGrace();
        (uint256 taken, uint256 compensation) = escrow.bounced(coordinator, node);
        vm.assertEq(taken, 2 * debt, "a basis point");
        vm.assertEq(compensation, debt, "half of it");
    }

    function test_a_debt_is_punished_once_and_stays_due() public {
        redeem(1_100 ether);
        passGrace();
        (, uint256 first) = escrow.bounced(coordinator, node);
        refuseBounced(noDebt());
        // Nor by a greater voucher of the same coordinator.
        Voucher memory terms = voucher(5_000 ether);
        escrow.redeem(terms, signVoucher(COORDINATOR_KEY, terms));
        passGrace();
        refuseBounced(noDebt());
        depositAs(STRANGER, 4_900 ether);
        vm.assertEq(escrow.settleDebt(coordinator, node), 4_900 ether, "still due");
        // Paid up: the next debt is another one.
        redeem(6_000 ether);
        passGrace();
        (uint256 taken, uint256 second) = escrow.bounced(coordinator, node);
        vm.assertGe(taken, 2_000 ether, "punished again");
        vm.assertEq(escrow.accountOf(coordinator, node).compensation, first + second, "both wait");
    }

    function test_vouchers_in_a_row_do_not_multiply_the_penalty() public {
        for (uint256 i = 1; i <= 20; ++i) {
            redeem(100 ether + i * 10 ether);
        }
        passGrace();
        (uint256 taken,) = escrow.bounced(coordinator, node);
        vm.assertLe(taken, 600 ether + 1 ether, "as one voucher");
        refuseBounced(noDebt());
    }

    function test_no_voucher_moves_the_end_of_the_grace() public {
        uint256 graceEnd = vm.getBlockTimestamp() + GRACE;
        redeem(150 ether);
        vm.warp(graceEnd);
        redeem(150 ether + 1);
        refuseBounced(abi.encodeWithSelector(IEscrow.InGrace.selector, graceEnd));
        vm.warp(graceEnd + 1);
        (uint256 taken,) = escrow.bounced(coordinator, node);
        vm.assertGe(taken, 1, "punished");
    }

    function test_the_penalty_is_bounded(uint96 debt) public {
        uint256 owed = bound(debt, 1 ether, 1e27);
        redeem(100 ether + owed);
        passGrace();
        (uint256 taken, uint256 compensation) = escrow.bounced(coordinator, node);
        vm.assertLe(taken, COORDINATOR_STAKE / 20, "a twentieth of the stake");
        vm.assertGe(taken, COORDINATOR_STAKE / 10_000, "never nothing");
        vm.assertLe(compensation, owed, "nobody gains from a debt");
        vm.assertLe(2 * compensation, taken, "nor saves stake by one");
    }

    function test_dust_is_not_punished() public {
        redeem(101 ether - 1);
        passGrace();
        refuseBounced(noDebt());
        redeem(101 ether);
        (uint256 taken,) = escrow.bounced(coordinator, node);
        vm.assertGe(taken, 1, "a whole CAI is");
    }

    function test_a_deposit_promised_to_many_costs_a_penalty_for_each() public {
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        redeem(100 ether);
        Voucher memory terms = voucher(100 ether);
        terms.miner = otherNode;
        vm.assertEq(escrow.redeem(terms, signVoucher(COORDINATOR_KEY, terms)), 0, "nothing left");
        passGrace();
        refuseBounced(noDebt());
        (uint256 taken,) = escrow.bounced(coordinator, otherNode);
        vm.assertGe(taken, 200 ether, "for the second");
    }

    function test_a_promise_of_nobody_or_to_nobody_is_no_debt() public {
        Voucher memory terms = voucher(10 ether);
        terms.coordinator = vm.addr(OTHER_NODE_KEY);
        bytes memory signature = signVoucher(OTHER_NODE_KEY, terms);
        vm.expectRevert(
            abi.encodeWithSelector(IEscrow.WrongRole.selector, terms.coordinator, Role.Coordinator)
        );
        escrow.redeem(terms, signature);

        terms = voucher(1_000 ether);
        terms.miner = STRANGER;
        signature = signVoucher(COORDINATOR_KEY, terms);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.WrongRole.selector, STRANGER, Role.Miner));
        escrow.redeem(terms, signature);
    }

    function test_a_miners_promise_slashes_no_miner() public {
        Voucher memory terms = Voucher({coordinator: node, miner: node, cumulativeAmount: 10 ether});
        bytes memory signature = signVoucher(NODE_KEY, terms);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.WrongRole.selector, node, Role.Coordinator));
        escrow.redeem(terms, signature);
    }

    function test_punishing_never_reverts_whatever_is_left_of_the_coordinator() public {
        redeem(1_100 ether);
        vm.prank(address(slashing));
        staking.slash(coordinator, 10_000, 0, JAIL_FOREVER);
        passGrace();
        (uint256 taken, uint256 compensation) = escrow.bounced(coordinator, node);
        vm.assertEq(taken + compensation, 0, "nothing is left, and nothing breaks");
        vm.assertTrue(escrow.accountOf(coordinator, node).defaulted, "defaulted");
    }

    function test_an_owner_cannot_take_its_voters_stake_through_a_debt_to_itself() public {
        vm.prank(ANN);
        staking.vote(coordinator, 9_000_000 ether);
        redeem(100 ether + 1e26);
        passGrace();
        (uint256 taken, uint256 compensation) = escrow.bounced(coordinator, node);
        uint256 ownLoss = taken * COORDINATOR_STAKE / (COORDINATOR_STAKE + 9_000_000 ether);
        vm.assertLe(2 * compensation, ownLoss, "less than half of what the owner loses");
    }
}

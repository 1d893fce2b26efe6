// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MarketFixture} from "./MarketFixture.sol";
import {Account, IEscrow, Voucher} from "../src/interfaces/IEscrow.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";
import {JAIL_FOREVER} from "../src/interfaces/IStaking.sol";

/// @notice What a voucher is worth, to whom it is paid, and which vouchers are none.
contract EscrowRedeemTest is MarketFixture {
    function setUp() public override {
        super.setUp();
        depositAs(COORDINATOR_OWNER, 1_000 ether);
    }

    function test_the_newest_voucher_replaces_the_rest() public {
        vm.assertEq(redeem(10 ether), 10 ether, "the first");
        vm.assertEq(redeem(25 ether), 15 ether, "the difference");
        vm.assertEq(escrow.depositOf(coordinator).balance, 975 ether, "left");
        Account memory account = escrow.accountOf(coordinator, node);
        vm.assertEq(account.promised, 25 ether, "promised");
        vm.assertEq(account.paid, 25 ether, "paid");
        vm.assertEq(account.bouncedAt, 0, "no debt");
    }

    function test_a_voucher_pays_once_and_an_older_one_nothing() public {
        redeem(25 ether);
        refuseAsNothing(25 ether);
        refuseAsNothing(10 ether);
        refuseAsNothing(0);
    }

    function refuseAsNothing(uint256 amount) internal {
        Voucher memory terms = voucher(amount);
        bytes memory signature = signVoucher(COORDINATOR_KEY, terms);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NothingToMove.selector));
        escrow.redeem(terms, signature);
    }

    function test_anybody_may_redeem_and_gains_nothing() public {
        Voucher memory terms = voucher(10 ether);
        bytes memory signature = signVoucher(COORDINATOR_KEY, terms);
        uint256 before = token.balanceOf(STRANGER);
        vm.expectEmit(address(escrow));
        emit IEscrow.Redeemed(coordinator, node, 10 ether, 10 ether);
        vm.prank(STRANGER);
        escrow.redeem(terms, signature);
        vm.assertEq(token.balanceOf(STRANGER), before, "nothing");
    }

    function test_the_owner_gets_the_pay_and_the_stakers_their_share() public {
        redeem(100 ether);
        uint256 owners = token.balanceOf(OWNER);
        uint256 stakings = token.balanceOf(address(staking));
        vm.expectEmit(address(escrow));
        emit IEscrow.Collected(node, OWNER, 90 ether, 10 ether, 0);
        vm.prank(STRANGER);
        vm.assertEq(collect(), 90 ether, "pay");
        vm.assertEq(token.balanceOf(OWNER), owners + 90 ether, "the owner's");
        vm.assertEq(token.balanceOf(address(staking)), stakings + 10 ether, "the stakers'");
        vm.assertEq(token.balanceOf(address(escrow)), 900 ether, "held = deposit");
    }

    function test_what_is_collected_is_collected_once() public {
        redeem(100 ether);
        collect();
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NothingToMove.selector));
        collect();
        address[] memory twice = new address[](2);
        (twice[0], twice[1]) = (coordinator, coordinator);
        redeem(150 ether);
        vm.assertEq(escrow.collect(node, twice), 45 ether, "once, though named twice");
    }

    function test_a_fee_of_one_wei_is_the_stakers() public {
        redeem(10);
        vm.assertEq(collect(), 9, "pay");
        vm.assertEq(token.balanceOf(address(escrow)), 1_000 ether - 10, "held = deposit");
        redeem(11);
        vm.assertEq(escrow.depositOf(coordinator).balance, 1_000 ether - 11, "a wei is taken, too");
    }

    function test_pay_of_several_coordinators_comes_at_once() public {
        registerAs(Role.Coordinator, SECOND_COORDINATOR_KEY, COORDINATOR_OWNER, COORDINATOR_STAKE);
        vm.prank(COORDINATOR_OWNER);
        escrow.deposit(secondCoordinator, 50 ether);
        redeem(100 ether);
        Voucher memory terms = Voucher(secondCoordinator, node, 50 ether);
        escrow.redeem(terms, signVoucher(SECOND_COORDINATOR_KEY, terms));
        address[] memory both = new address[](2);
        (both[0], both[1]) = (coordinator, secondCoordinator);
        uint256 stakings = token.balanceOf(address(staking));
        vm.assertEq(escrow.collect(node, both), 135 ether, "pay of both");
        vm.assertEq(token.balanceOf(address(staking)), stakings + 15 ether, "fees of both");
    }

    function test_fees_do_not_depend_on_how_often_somebody_collects(uint64[8] memory steps) public {
        uint256 total = 0;
        uint256 pay = 0;
        for (uint256 i = 0; i < steps.length; ++i) {
            // Mostly less than a fee of one wei.
            uint256 step = bound(steps[i], 1, i % 4 == 0 ? 1 ether : 12);
            total += step;
            redeem(total);
            pay += collect();
        }
        vm.assertEq(pay, total - total / 10, "the same as at once");
    }

    function test_many_at_once_pass_over_what_is_worth_nothing_more() public {
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        Voucher[] memory vouchers = new Voucher[](3);
        bytes[] memory signatures = new bytes[](3);
        vouchers[0] = voucher(30 ether);
        vouchers[1] = voucher(20 ether);
        vouchers[2] = voucher(5 ether);
        vouchers[2].miner = otherNode;
        for (uint256 i = 0; i < 3; ++i) {
            signatures[i] = signVoucher(COORDINATOR_KEY, vouchers[i]);
        }
        // Somebody comes first with one of them.
        escrow.redeem(vouchers[1], signatures[1]);
        vm.assertEq(escrow.redeemMany(vouchers, signatures), 15 ether, "10 and 5");
        vm.assertEq(escrow.accountOf(coordinator, otherNode).paid, 5 ether, "the other's");
    }

    function test_bounds_of_a_batch() public {
        Voucher[] memory vouchers = new Voucher[](51);
        bytes[] memory signatures = new bytes[](51);
        refuseBatch(vouchers, signatures);
        refuseBatch(vouchers, new bytes[](50));
        refuseBatch(new Voucher[](1), new bytes[](2));
        vm.expectRevert(abi.encodeWithSelector(IEscrow.BatchOutOfBounds.selector, 51, 0, 50));
        escrow.collect(node, new address[](51));
        vm.assertEq(escrow.redeemMany(new Voucher[](0), new bytes[](0)), 0, "none is none");
        redeem(10);
        address[] memory fifty = new address[](50);
        fifty[49] = coordinator;
        vm.assertEq(escrow.collect(node, fifty), 9, "the bound itself is allowed");
        vouchers = new Voucher[](50);
        signatures = new bytes[](50);
        for (uint256 i = 0; i < 50; ++i) {
            (vouchers[i], signatures[i]) = (voucher(15), signVoucher(COORDINATOR_KEY, voucher(15)));
        }
        vm.assertEq(escrow.redeemMany(vouchers, signatures), 5, "so it is here");
    }

    function refuseBatch(Voucher[] memory vouchers, bytes[] memory signatures) internal {
        bytes4 selector = IEscrow.BatchOutOfBounds.selector;
        vm.expectRevert(abi.encodeWithSelector(selector, vouchers.length, signatures.length, 50));
        escrow.redeemMany(vouchers, signatures);
    }

    function test_only_the_coordinators_key_signs() public {
        Voucher memory terms = voucher(10 ether);
        bytes memory signature = signVoucher(NODE_KEY, terms);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.VoucherNotByCoordinator.selector, coordinator, node));
        escrow.redeem(terms, signature);
    }

    function test_a_signature_holds_for_what_was_signed_only(uint256 amount, address miner) public {
        Voucher memory terms = voucher(10 ether);
        bytes memory signature = signVoucher(COORDINATOR_KEY, terms);
        terms.cumulativeAmount = bound(amount, 10 ether + 1, type(uint256).max);
        refuseSignature(terms, signature);
        if (miner == node) return;
        terms = voucher(10 ether);
        terms.miner = miner;
        refuseSignature(terms, signature);
    }

    function refuseSignature(Voucher memory terms, bytes memory signature) internal {
        vm.expectPartialRevert(IEscrow.VoucherNotByCoordinator.selector);
        escrow.redeem(terms, signature);
    }

    function test_replay_on_another_chain_or_contract() public {
        Voucher memory terms = voucher(10 ether);
        bytes memory signature = signVoucher(COORDINATOR_KEY, terms);
        vm.chainId(424_242);
        refuseSignature(terms, signature);
        vm.chainId(31_337);
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256("Cuckoo Escrow"),
                keccak256("1"),
                block.chainid,
                address(slashing)
            )
        );
        bytes32 body = keccak256(
            abi.encode(
                keccak256("Voucher(address coordinator,address miner,uint256 cumulativeAmount)"),
                coordinator,
                node,
                10 ether
            )
        );
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", domain, body));
        refuseSignature(terms, signDigest(COORDINATOR_KEY, digest));
    }

    function test_signatures_have_one_form() public {
        Voucher memory terms = voucher(10 ether);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(COORDINATOR_KEY, escrow.voucherDigest(terms));
        bytes32 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        bytes32 highS = bytes32(uint256(order) - uint256(s));
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureS.selector, highS));
        escrow.redeem(terms, abi.encodePacked(r, highS, v ^ 7));
    }

    function test_an_amount_beyond_all_money_is_refused() public {
        Voucher memory terms = voucher(uint256(type(uint96).max) + 1);
        bytes memory signature = signVoucher(COORDINATOR_KEY, terms);
        (bool accepted,) = address(escrow).call(abi.encodeCall(IEscrow.redeem, (terms, signature)));
        vm.assertTrue(!accepted, "refused, not cut off");
    }

    function test_pay_waits_for_a_miner_that_is_not_registered_yet() public {
        Voucher memory terms = voucher(10 ether);
        terms.miner = otherNode;
        escrow.redeem(terms, signVoucher(COORDINATOR_KEY, terms));
        vm.expectRevert(abi.encodeWithSelector(IEscrow.WrongRole.selector, otherNode, Role.Miner));
        escrow.collect(otherNode, one(coordinator));
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        uint256 before = token.balanceOf(OTHER_OWNER);
        escrow.collect(otherNode, one(coordinator));
        vm.assertEq(token.balanceOf(OTHER_OWNER), before + 9 ether, "paid then");
    }

    function test_who_has_earned_is_paid_whatever_became_of_its_node() public {
        redeem(100 ether);
        vm.prank(address(slashing));
        staking.slash(node, 10_000, 0, JAIL_FOREVER);
        vm.assertEq(collect(), 90 ether, "jailed, with nobody behind it");
        redeem(200 ether);
        vm.prank(OWNER);
        staking.deregister(node);
        uint256 before = token.balanceOf(OWNER);
        collect();
        vm.assertEq(token.balanceOf(OWNER), before + 90 ether, "gone");
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {IRewards, NodeRewards} from "../src/interfaces/IRewards.sol";

/// @notice When an announced commission begins, and what it is a part of.
contract StakingCommissionTest is Fixture {
    uint256 internal constant FUNDS = 2_592_000 ether; // a CAI a second for thirty days

    function setUp() public override {
        super.setUp();
        token.approve(address(staking), type(uint256).max);
        registerMiner();
    }

    function announce(uint256 basisPoints) internal {
        vm.prank(OWNER);
        staking.announceCommission(node, basisPoints);
    }

    function passNotice() internal {
        vm.warp(vm.getBlockTimestamp() + staking.COMMISSION_NOTICE());
    }

    function addFees(uint256 amount) internal {
        vm.prank(ESCROW);
        staking.addFees(node, amount);
        vm.warp(vm.getBlockTimestamp() + staking.FEE_PERIOD());
    }

    function claimAs(address account) internal returns (uint256) {
        vm.prank(account);
        return staking.claim(node);
    }

    function assertNear(uint256 left, uint256 right, string memory what) internal pure {
        vm.assertLe(left, right, what);
        vm.assertGe(left + 1e9, right, what);
    }

    function assertNothingIsNext() internal view {
        NodeRewards memory rewards = staking.nodeRewards(node);
        vm.assertEq(rewards.nextCommission, 0, "no other");
        vm.assertEq(rewards.nextCommissionFrom, 0, "at no time");
    }

    function test_the_owners_claim_lets_it_begin_and_no_voters() public {
        voteAs(ANN, MINER_STAKE);
        announce(2_000);
        passNotice();
        staking.fundRewards(FUNDS);
        vm.warp(vm.getBlockTimestamp() + 100);
        assertNear(claimAs(ANN), 50 ether, "divided as it was");
        vm.assertEq(staking.nodeRewards(node).commission, 0, "a voter changes nothing");
        assertNear(claimAs(OWNER), 50 ether, "divided as it was");
        vm.assertEq(staking.nodeRewards(node).commission, 2_000, "it has begun");
        assertNothingIsNext();
    }

    function test_what_came_before_a_fall_is_divided_as_before() public {
        voteAs(ANN, MINER_STAKE);
        announce(2_000);
        passNotice();
        announce(2_000);
        staking.fundRewards(FUNDS);
        vm.warp(vm.getBlockTimestamp() + 100);
        announce(0);
        assertNear(staking.claimable(node, ANN), 40 ether, "half of four fifths");
        assertNear(claimAs(OWNER), 60 ether, "and the other fifth");
    }

    function test_a_fall_withdraws_a_rise_that_was_announced() public {
        announce(2_000);
        announce(0);
        assertNothingIsNext();
        passNotice();
        addFees(1 ether);
        vm.assertEq(staking.nodeRewards(node).commission, 0, "it never rises");
    }

    function test_the_same_again_is_no_rise() public {
        announce(2_000);
        passNotice();
        announce(2_000);
        vm.expectEmit(address(staking));
        emit IRewards.CommissionAnnounced(node, 2_000, vm.getBlockTimestamp());
        announce(2_000);
        assertNothingIsNext();
    }

    function test_the_least_pool_whose_shares_earn_is_one_cai() public {
        voteAs(ANN, 1 ether);
        unvoteAllAs(OWNER);
        addFees(100 ether);
        assertNear(staking.claimable(node, ANN), 100 ether, "all is the voter's");
        unvoteAs(ANN, 1_000);
        addFees(100 ether);
        assertNear(staking.claimable(node, ANN), 100 ether, "of less nothing is");
        vm.assertEq(staking.claimable(node, OWNER), 100 ether, "but the owner's");
    }

    /// @dev Each settlement adds to what is owed.
    function test_what_is_owed_to_an_owner_adds_up() public {
        unvoteAllAs(OWNER);
        addFees(3 ether);
        addFees(2 ether);
        addFees(1 ether);
        assertNear(claimAs(OWNER), 6 ether, "all of it");
    }

    /// @dev Nobody has shares, so all is the owner's.
    function test_a_gwei_of_fees_is_paid_and_only_once() public {
        unvoteAllAs(OWNER);
        addFees(1e9);
        vm.assertEq(claimAs(OWNER), 1e9, "the least of the owner's");
        vm.expectRevert(abi.encodeWithSelector(IRewards.NothingToClaim.selector, node, OWNER));
        claimAs(OWNER);
    }

    /// @dev A vote settles it, for a wei of shares in a pool of 20,001 CAI: a 10^22nd of the fees.
    function test_a_wei_that_was_settled_is_paid_and_only_once() public {
        voteAs(ANN, 1);
        addFees(30_000 ether);
        voteAs(ANN, 1);
        vm.assertEq(claimAs(ANN), 1, "a wei of the shares");
        vm.expectRevert(abi.encodeWithSelector(IRewards.NothingToClaim.selector, node, ANN));
        claimAs(ANN);
    }
}

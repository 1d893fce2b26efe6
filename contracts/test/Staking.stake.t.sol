// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {GenerousToken} from "./GenerousToken.sol";
import {INodeRegistry, Role} from "../src/interfaces/INodeRegistry.sol";
import {IStaking, NodeInfo, Unbonding} from "../src/interfaces/IStaking.sol";

/// @notice Stake on its way in and out: owners, voters, delays and what makes a node active.
contract StakingStakeTest is Fixture {
    function setUp() public override {
        super.setUp();
        registerMiner();
    }

    function test_vote_counts_for_the_node_and_not_as_its_own() public {
        voteAs(ANN, 500 ether);
        NodeInfo memory info = staking.nodeInfo(node);
        vm.assertEq(info.ownStake, MINER_STAKE, "own");
        vm.assertEq(info.totalStake, MINER_STAKE + 500 ether, "total");
        vm.assertEq(staking.stakeOf(node, ANN), 500 ether, "the voter's");
    }

    function test_vote_is_for_active_nodes_of_others() public {
        vm.expectRevert(revertOf(INodeRegistry.NotRegistered.selector, otherNode));
        vm.prank(ANN);
        staking.vote(otherNode, 1 ether);

        vm.expectRevert(revertOf(IStaking.OwnerCannotVote.selector, node));
        voteAs(OWNER, 1 ether);

        unvoteAs(OWNER, staking.sharesOf(node, OWNER) / 2);
        vm.expectRevert(revertOf(IStaking.NodeInactive.selector, node));
        voteAs(ANN, 1 ether);
    }

    function test_vote_of_nothing_is_refused() public {
        vm.expectRevert(abi.encodeWithSelector(IStaking.NothingToMove.selector));
        voteAs(ANN, 0);
    }

    function test_stake_behind_a_node_is_the_owners() public {
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotOwner.selector, node, ANN));
        vm.prank(ANN);
        staking.stake(node, 1 ether);

        vm.prank(OWNER);
        staking.stake(node, 1 ether);
        vm.assertEq(staking.nodeInfo(node).ownStake, MINER_STAKE + 1 ether, "own stake");
    }

    function test_own_stake_at_the_minimum_makes_inactive_and_above_it_active_again() public {
        voteAs(ANN, 500 ether);
        unvoteAs(OWNER, 1 ether * 1e3);
        NodeInfo memory info = staking.nodeInfo(node);
        vm.assertEq(info.ownStake, 20_000 ether, "exactly the minimum");
        vm.assertTrue(!info.active, "is not enough");

        vm.prank(OWNER);
        staking.stake(node, 1);
        vm.assertTrue(staking.nodeInfo(node).active, "one wei more is");
        vm.assertEq(staking.weightOf(node), micro(20_500 ether + 1), "weight with the votes");
    }

    function test_votes_do_not_replace_own_stake() public {
        voteAs(ANN, 1_000_000 ether);
        unvoteAs(OWNER, staking.sharesOf(node, OWNER));
        vm.assertTrue(!staking.nodeInfo(node).active, "inactive without its owner's stake");
    }

    function test_unvote_and_withdraw_give_back_every_wei() public {
        uint256 before = token.balanceOf(ANN);
        uint256 shares = voteAs(ANN, 123_456_789);
        uint256 from = vm.getBlockTimestamp() + UNBONDING_DELAY;
        vm.expectEmit(address(staking));
        emit IStaking.UnbondingStarted(node, ANN, 1, shares, 123_456_789, from);
        uint256 requestId = unvoteAs(ANN, shares);

        Unbonding memory request = staking.unbonding(node, ANN, requestId);
        vm.assertEq(request.amount, 123_456_789, "how much");
        vm.assertEq(request.releaseTime, vm.getBlockTimestamp() + UNBONDING_DELAY, "when");
        vm.assertEq(staking.nodeInfo(node).unbondingStake, 123_456_789, "slashable meanwhile");

        passUnbonding();
        vm.assertEq(withdrawAs(ANN, requestId), 123_456_789, "withdrawn");
        vm.assertEq(token.balanceOf(ANN), before, "all is back");
        vm.assertEq(staking.nodeInfo(node).unbondingStake, 0, "and gone from here");
    }

    function test_withdraw_waits_for_the_whole_delay() public {
        uint256 requestId = unvoteAs(ANN, voteAs(ANN, 5 ether));
        uint256 releaseTime = staking.unbonding(node, ANN, requestId).releaseTime;
        vm.warp(releaseTime - 1);
        vm.expectRevert(abi.encodeWithSelector(IStaking.StillUnbonding.selector, requestId, releaseTime));
        withdrawAs(ANN, requestId);
        vm.warp(releaseTime);
        withdrawAs(ANN, requestId);
    }

    function test_withdraw_is_the_requesters_and_once() public {
        uint256 requestId = unvoteAs(ANN, voteAs(ANN, 5 ether));
        passUnbonding();
        vm.expectRevert(abi.encodeWithSelector(IStaking.NoSuchRequest.selector, node, BEN, requestId));
        withdrawAs(BEN, requestId);
        withdrawAs(ANN, requestId);
        vm.expectRevert(abi.encodeWithSelector(IStaking.NoSuchRequest.selector, node, ANN, requestId));
        withdrawAs(ANN, requestId);
    }

    function test_unvote_is_of_ones_own_shares() public {
        uint256 shares = voteAs(ANN, 5 ether);
        vm.expectRevert(abi.encodeWithSelector(IStaking.NotEnoughShares.selector, shares + 1, shares));
        unvoteAs(ANN, shares + 1);
        vm.expectRevert(abi.encodeWithSelector(IStaking.NotEnoughShares.selector, 1, 0));
        unvoteAs(BEN, 1);
        vm.expectRevert(abi.encodeWithSelector(IStaking.NothingToMove.selector));
        unvoteAs(ANN, 0);
        // A thousandth of a wei: shares are finer than wei.
        vm.expectRevert(abi.encodeWithSelector(IStaking.NothingToMove.selector));
        unvoteAs(ANN, 1);
    }

    function test_every_wei_comes_back_whatever_the_amounts(uint256 ann, uint256 ben, uint256 part) public {
        ann = bound(ann, 1, 5_000_000 ether);
        ben = bound(ben, 1, 5_000_000 ether);
        uint256 annShares = voteAs(ANN, ann);
        uint256 benShares = voteAs(BEN, ben);
        part = bound(part, 1, ann);
        uint256 first = unvoteAs(ANN, part * 1e3);
        uint256 second = unvoteAs(BEN, benShares);
        vm.assertEq(staking.stakeOf(node, ANN), ann - part, "what is left");
        passUnbonding();
        vm.assertEq(withdrawAs(ANN, first), part, "the part");
        vm.assertEq(withdrawAs(BEN, second), ben, "all of the other's");
        vm.assertEq(staking.sharesOf(node, ANN), annShares - part * 1e3, "shares left");
    }

    /// @dev The attack of ERC-4626: drive the share price up in an empty pool, then round a deposit away.
    function test_an_empty_pool_cannot_round_a_deposit_away(uint256 dust) public {
        unvoteAs(OWNER, staking.sharesOf(node, OWNER));
        dust = bound(dust, 1, 1000);
        for (uint256 i = 0; i < 20; ++i) {
            vm.prank(OWNER);
            staking.stake(node, dust);
            uint256 shares = staking.sharesOf(node, OWNER);
            if (staking.stakeOf(node, OWNER) > 1) unvoteAs(OWNER, shares - shares / 3);
        }
        vm.prank(OWNER);
        staking.stake(node, MINER_STAKE);
        voteAs(ANN, 1 ether);
        vm.assertGe(staking.stakeOf(node, ANN), 1 ether - 1, "a wei at most");
    }

    function test_stake_without_allowance_takes_nothing() public {
        vm.prank(OTHER_OWNER);
        token.approve(address(staking), 0);
        vm.expectPartialRevert(bytes4(keccak256("ERC20InsufficientAllowance(address,uint256,uint256)")));
        vm.prank(OTHER_OWNER);
        staking.stake(otherNode, MINER_STAKE);
        vm.assertEq(staking.sharesOf(otherNode, OTHER_OWNER), 0, "nothing");
    }

    function test_stake_for_a_key_that_never_registers_comes_back() public {
        vm.startPrank(ANN);
        uint256 shares = staking.stake(otherNode, 7 ether);
        vm.assertEq(staking.weightOf(otherNode), 0, "it weighs nothing");
        uint256 requestId = staking.unvote(otherNode, shares);
        passUnbonding();
        vm.assertEq(staking.withdraw(otherNode, requestId), 7 ether, "all of it");
        vm.stopPrank();
    }

    function test_open_requests_are_limited_and_their_ids_stay() public {
        uint256 most = staking.MAX_OPEN_REQUESTS();
        uint256 shares = voteAs(ANN, 100 ether) / 100;
        for (uint256 i = 1; i <= most; ++i) {
            vm.assertEq(unvoteAs(ANN, shares), i, "counted from one");
        }
        vm.expectRevert(abi.encodeWithSelector(IStaking.TooManyRequests.selector, most));
        unvoteAs(ANN, shares);
        voteAs(BEN, 1 ether);
        vm.assertEq(unvoteAllAs(BEN), 1, "others have their own");
        passUnbonding();
        vm.assertEq(withdrawAs(ANN, 5), 1 ether, "one goes");
        vm.assertEq(unvoteAs(ANN, shares), most + 1, "a new one comes");
        vm.assertEq(staking.unbonding(node, ANN, 6).amount, 1 ether, "the others are where they were");
    }

    function test_a_pool_has_a_limit() public {
        token.faucet(1);
        uint256 most = staking.MAX_STAKE();
        vm.expectRevert(revertOf(IStaking.PoolFull.selector, node));
        voteAs(ANN, most - MINER_STAKE + 1);
        vm.expectPartialRevert(bytes4(keccak256("ERC20InsufficientBalance(address,uint256,uint256)")));
        voteAs(ANN, most - MINER_STAKE);
    }

    /// @dev Each slash lowers the price of a share, so that more of them fit a pool of the same stake.
    function test_a_pool_has_a_limit_of_shares() public {
        vm.etch(address(token), address(new GenerousToken()).code);
        uint256 most = staking.MAX_STAKE();
        vm.prank(BEN);
        staking.stake(otherNode, most);
        stakeAs(OWNER, most - MINER_STAKE);
        for (uint256 i = 0; i < 3; ++i) {
            staking.slash(node, 5_000, 0, 0);
        }
        stakeAs(OWNER, most - staking.nodeInfo(node).totalStake);
        staking.slash(node, 5_000, 0, 0);
        uint256 rest = most - staking.nodeInfo(node).totalStake;
        vm.expectRevert(revertOf(IStaking.PoolFull.selector, node));
        stakeAs(OWNER, rest);
        stakeAs(OWNER, rest / 8);
    }
}

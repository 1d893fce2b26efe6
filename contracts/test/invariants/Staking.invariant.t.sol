// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {StakingHandler} from "./StakingHandler.sol";
import {DevelopmentCAI} from "../../src/DevelopmentCAI.sol";
import {IStaking, NodeInfo, StakingParameters} from "../../src/interfaces/IStaking.sol";
import {RewardStream} from "../../src/interfaces/IRewards.sol";

/// @notice What holds after any sequence of calls, with slashes of any size, locks and rewards in between.
contract StakingInvariants is Base {
    uint256 internal constant SUPPLY = 1_000_000_000 ether;

    DevelopmentCAI internal token;
    IStaking internal staking;
    StakingHandler internal handler;

    function setUp() public {
        vm.roll(1000);
        vm.warp(1_700_000_000);
        token = DevelopmentCAI(create("DevelopmentCAI", abi.encode(address(this), SUPPLY)));
        handler = new StakingHandler(token);
        StakingParameters memory parameters = StakingParameters({
            token: address(token),
            slashing: address(handler),
            disputes: handler.disputes(),
            escrow: handler.escrow(),
            unbondingDelay: 7 days,
            epochBlocks: 100,
            seedDelayBlocks: 10
        });
        staking = IStaking(create("Staking", abi.encode(parameters)));
        token.transfer(address(handler), SUPPLY);
        handler.start(staking);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function excludeSelectors() external view returns (FuzzSelector[] memory excluded) {
        excluded = new FuzzSelector[](1);
        excluded[0] = FuzzSelector(address(handler), new bytes4[](1));
        excluded[0].selectors[0] = StakingHandler.start.selector;
    }

    /// @dev One campaign for all of them, since the calls cost more than the looking.
    function invariant_of_staking() external view {
        held_is_what_is_owed_and_nothing_is_made_or_lost();
        weights_now_and_then();
        nobody_has_more_than_was_deposited();
        rewards_are_all_somebodys();
        nothing_happened_that_must_not();
    }

    function held_is_what_is_owed_and_nothing_is_made_or_lost() internal view {
        uint256 held = token.balanceOf(address(staking));
        uint256 owed = handler.donated() + staking.rewardsHeld() + staking.slashedToBurn();
        for (uint256 i = 0; i < 3; ++i) {
            owed += staking.owedTo(handler.slasher(i));
        }
        for (uint256 i = 0; i < handler.nodes(); ++i) {
            NodeInfo memory info = staking.nodeInfo(handler.node(i));
            owed += info.totalStake + info.unbondingStake;
        }
        vm.assertEq(held, owed, "held = staked + unbonding + rewards + slashed");
        uint256 burned = SUPPLY - token.totalSupply();
        vm.assertEq(
            handler.withdrawn() + handler.claimed() + handler.rewarded() + burned + held,
            handler.deposited() + handler.paidIn() + handler.donated(),
            "out + burned + held = in"
        );
    }

    /// @dev What everybody may claim, with what is still to flow, is there; and all but dust is somebody's.
    function rewards_are_all_somebodys() internal view {
        RewardStream memory stream = staking.rewardStream();
        uint256 sum = stream.remaining + stream.carried;
        for (uint256 j = 0; j < handler.accounts(); ++j) {
            address account = handler.account(j);
            uint256 credit = staking.claimable(address(1), account);
            sum += credit;
            for (uint256 i = 0; i < handler.nodes(); ++i) {
                sum += staking.claimable(handler.node(i), account) - credit;
            }
        }
        for (uint256 i = 0; i < handler.nodes(); ++i) {
            sum += staking.nodeRewards(handler.node(i)).fees;
        }
        vm.assertLe(sum, staking.rewardsHeld(), "never more than is held");
        // What flows to a leaf that stayed behind at an inactive node is nobody's until it is settled.
        for (uint256 i = 0; i < handler.nodes(); ++i) {
            if (handler.stale(handler.node(i))) return;
        }
        vm.assertGe(sum + (handler.steps() + 1) * 1e9, staking.rewardsHeld(), "never much less");
    }

    function nothing_happened_that_must_not() internal view {
        vm.assertTrue(!handler.sharePriceFell(), "a share price fell without a slash");
        vm.assertTrue(!handler.leafMovedUnderLock(), "the tree moved under a lock");
        vm.assertTrue(!handler.roseWithoutNotice(), "a commission rose without notice");
        vm.assertEq(handler.tookStakeWronglyAt(), 0, "a node took stake that must not");
        vm.assertTrue(!handler.ownerCouldLeaveFirst(), "an owner leaves before its voters could");
        vm.assertTrue(!handler.rewardExceededLoss(), "a report of oneself pays");
        vm.assertTrue(!handler.earnedByWhatHasLeft(), "stake that has left earns");
        vm.assertTrue(!handler.feesWereSniped(), "fees are of who comes when they do");
        vm.assertTrue(!handler.metadataWasFlooded(), "one introduction an epoch");
    }

    /// @dev To the wei as long as only whole wei move; then rounding may move a wei a step between holders.
    function nobody_has_more_than_was_deposited() internal view {
        for (uint256 i = 0; i < handler.nodes(); ++i) {
            address node = handler.node(i);
            uint256[] memory stakes = new uint256[](handler.accounts());
            uint256 sum = 0;
            for (uint256 j = 0; j < stakes.length; ++j) {
                stakes[j] = staking.stakeOf(node, handler.account(j));
                sum += stakes[j];
            }
            NodeInfo memory info = staking.nodeInfo(node);
            vm.assertLe(sum, info.totalStake, "holders' stakes are in the pool");
            if (handler.everWiped(node)) {
                vm.assertEq(info.totalStake + info.unbondingStake, 0, "nothing enters a wiped pool");
            }
            uint256[] memory unbonding = handler.unbondingOf(node);
            for (uint256 j = 0; j < stakes.length; ++j) {
                address account = handler.account(j);
                uint256 has = stakes[j] + unbonding[j] + handler.withdrawnBy(node, account);
                uint256 put = handler.depositedBy(node, account);
                if (!handler.everRounded(node)) vm.assertEq(has, put, "to the wei");
                vm.assertLe(has, put + handler.steps(), "never more than deposited");
            }
        }
    }

    function weights_now_and_then() internal view {
        uint256 sum = 0;
        for (uint256 i = 0; i < handler.nodes(); ++i) {
            address node = handler.node(i);
            NodeInfo memory info = staking.nodeInfo(node);
            if (info.active) {
                vm.assertTrue(info.jailedUntil == 0 && !info.left, "active nodes are here and free");
                vm.assertTrue(info.ownStake > staking.minimumOwnStake(info.role), "with stake of their own");
            }
            uint256 weight = staking.weightOf(node);
            vm.assertEq(weight, info.active ? info.totalStake / 1e12 : 0, "weight");
            uint256 leaf = staking.leafWeight(info.leaf);
            if (!handler.stale(node)) vm.assertEq(leaf, weight / 1e6, "its leaf");
            sum += leaf;
            uint256 count = handler.epochCount();
            if (count == 0) continue;
            weight_at(node, handler.epochs(count - 1));
            weight_at(node, handler.epochs(handler.steps() % count));
        }
        vm.assertEq(staking.totalWeight(), sum, "the root is the sum of the leaves");
    }

    /// @dev What it was, or nothing if that is older than what is kept.
    function weight_at(address node, uint256 epoch) internal view {
        try staking.weightAt(node, epoch) returns (uint64 weight) {
            vm.assertEq(weight, handler.weightBefore(node, epoch), "as it was");
        } catch {
            uint256 current = staking.currentEpoch();
            vm.assertTrue(epoch + staking.KEPT_EPOCHS() <= current, "forgotten too early");
        }
    }
}

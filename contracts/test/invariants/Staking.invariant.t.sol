// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {StakingHandler} from "./StakingHandler.sol";
import {DevelopmentCAI} from "../../src/DevelopmentCAI.sol";
import {Staking} from "../../src/Staking.sol";
import {NodeInfo} from "../../src/interfaces/IStaking.sol";

/// @notice What holds after any sequence of calls, with slashes of any size in between.
contract StakingInvariants is Base {
    uint256 internal constant SUPPLY = 1_000_000_000 ether;

    DevelopmentCAI internal token;
    Staking internal staking;
    StakingHandler internal handler;

    function setUp() public {
        vm.roll(1000);
        vm.warp(1_700_000_000);
        token = new DevelopmentCAI(address(this), SUPPLY);
        handler = new StakingHandler(token);
        staking = new Staking(address(token), address(handler), 7 days, 100, 10);
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

    function invariant_held_is_what_is_owed() external view {
        uint256 owed = staking.unclaimedRewards() + handler.donated();
        for (uint256 i = 0; i < handler.nodes(); ++i) {
            NodeInfo memory info = staking.nodeInfo(handler.node(i));
            owed += info.totalStake + info.unbondingStake;
        }
        vm.assertEq(token.balanceOf(address(staking)), owed, "held = staked + unbonding + unclaimed");
    }

    function invariant_nothing_is_made_or_lost() external view {
        uint256 burned = SUPPLY - token.totalSupply();
        uint256 held = token.balanceOf(address(staking));
        vm.assertEq(
            handler.withdrawn() + burned + held,
            handler.deposited() + handler.donated(),
            "withdrawn + burned + held = deposited"
        );
    }

    function invariant_share_price_falls_only_by_a_slash() external view {
        vm.assertTrue(!handler.sharePriceFell(), "share price");
    }

    /// @dev To the wei as long as only whole wei move; then rounding may move a wei a step between holders.
    function invariant_nobody_has_more_than_was_deposited() external view {
        for (uint256 i = 0; i < handler.nodes(); ++i) {
            address node = handler.node(i);
            uint256 sum = 0;
            for (uint256 j = 0; j < handler.accounts(); ++j) {
                address account = handler.account(j);
                uint256 stake = staking.stakeOf(node, account);
                uint256 has = stake + handler.unbondingOf(node, account) + handler.withdrawnBy(node, account);
                uint256 put = handler.depositedBy(node, account);
                if (!handler.everRounded(node)) vm.assertEq(has, put, "to the wei");
                vm.assertLe(has, put + handler.steps(), "never more than deposited");
                sum += stake;
            }
            vm.assertLe(sum, staking.nodeInfo(node).totalStake, "holders' stakes are in the pool");
        }
    }

    function invariant_the_weight_is_the_stake_of_an_active_node() external view {
        for (uint256 i = 0; i < handler.nodes(); ++i) {
            address node = handler.node(i);
            NodeInfo memory info = staking.nodeInfo(node);
            bool enough = info.ownStake > staking.minimumOwnStake(info.role);
            vm.assertTrue(info.active == (enough && !info.jailed), "active");
            vm.assertTrue(info.jailed == handler.everSlashed(node), "jailed by a slash and for good");
            uint256 weight = staking.weightAt(node, vm.getBlockNumber() - 1);
            vm.assertEq(weight, info.active ? info.totalStake : 0, "weight");
        }
    }

    function invariant_the_past_does_not_change() external view {
        for (uint256 i = 0; i < handler.nodes(); ++i) {
            (uint256 blockNumber, uint256 weight) = handler.samples(handler.node(i));
            if (blockNumber == 0) continue;
            vm.assertEq(staking.weightAt(handler.node(i), blockNumber), weight, "as it was");
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {IStaking, NodeInfo} from "../src/interfaces/IStaking.sol";

/// @notice How a slash of any size is shared; the test itself is the slasher here.
contract StakingSlashTest is Fixture {
    function setUp() public override {
        super.setUp();
        registerMiner();
    }

    function deploySlasher() internal override {
        staking = newStaking(address(this));
    }

    function test_a_slash_takes_the_same_part_of_everybodys(uint256 ann, uint256 ben, uint256 fraction)
        public
    {
        ann = bound(ann, 1, 5_000_000 ether);
        ben = bound(ben, 1, 5_000_000 ether);
        fraction = bound(fraction, 1, 10_000);
        voteAs(ANN, ann);
        uint256 requestId = unvoteAs(BEN, voteAs(BEN, ben));
        (uint256 taken, uint256 reward) = staking.slash(node, fraction, REPORTER, 1_000);

        uint256 active = MINER_STAKE + ann;
        vm.assertEq(taken, active * fraction / 10_000 + ben * fraction / 10_000, "taken");
        vm.assertEq(reward, taken / 10, "reward");
        assertKept(staking.nodeInfo(node).ownStake, MINER_STAKE, fraction, "owner");
        assertKept(staking.stakeOf(node, ANN), ann, fraction, "voter");
        assertKept(staking.unbonding(requestId).amount, ben, fraction, "unbonding");
        NodeInfo memory info = staking.nodeInfo(node);
        uint256 owed = info.totalStake + info.unbondingStake + staking.unclaimedRewards();
        vm.assertEq(token.balanceOf(address(staking)), owed, "held to the wei");
    }

    /// @dev Rounding may move one wei between the holders of a pool.
    function assertKept(uint256 kept, uint256 before, uint256 fraction, string memory whose) internal pure {
        uint256 exact = before * (10_000 - fraction) / 10_000;
        vm.assertLe(kept, exact + 1, whose);
        vm.assertGe(kept + 1, exact, whose);
    }

    function test_what_a_slash_leaves_can_be_taken_out() public {
        uint256 shares = voteAs(ANN, 1000 ether);
        staking.slash(node, 2_500, REPORTER, 1_000);
        vm.assertTrue(!staking.nodeInfo(node).active, "jailed");
        uint256 requestId = unvoteAs(ANN, shares);
        passUnbonding();
        vm.assertEq(withdrawAs(ANN, requestId), 750 ether, "three quarters");
    }

    function test_bounds_of_a_slash() public {
        refused(0, 1_000);
        refused(10_001, 1_000);
        refused(10_000, 5_001);
        vm.expectRevert(revertOf(INodeRegistry.NotRegistered.selector, otherNode));
        staking.slash(otherNode, 10_000, REPORTER, 1_000);
    }

    function refused(uint256 fraction, uint256 reporterShare) internal {
        bytes4 selector = IStaking.SlashOutOfBounds.selector;
        vm.expectRevert(abi.encodeWithSelector(selector, fraction, reporterShare));
        staking.slash(node, fraction, REPORTER, reporterShare);
    }
}

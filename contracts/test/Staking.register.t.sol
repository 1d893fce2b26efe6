// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Fixture} from "./Fixture.sol";
import {INodeRegistry, Role} from "../src/interfaces/INodeRegistry.sol";
import {IStaking, NodeInfo, StakingParameters} from "../src/interfaces/IStaking.sol";

/// @notice Who may register which key as what, and for how much.
contract StakingRegisterTest is Fixture {
    function test_register_miner() public {
        stakeAs(OWNER, MINER_STAKE);
        bytes memory signature = consent(NODE_KEY, OWNER, Role.Miner);
        vm.expectEmit(address(staking));
        emit INodeRegistry.NodeRegistered(node, OWNER, Role.Miner, 0, 10, micro(MINER_STAKE));
        vm.expectEmit(address(staking));
        emit INodeRegistry.MetadataChanged(node, "metadata");
        vm.prank(OWNER);
        staking.register(Role.Miner, node, "metadata", deadline(), signature);

        NodeInfo memory info = staking.nodeInfo(node);
        vm.assertEq(info.owner, OWNER, "owner");
        vm.assertTrue(info.role == Role.Miner && info.active && info.jailedUntil == 0, "an active miner");
        vm.assertEq(info.ownStake, MINER_STAKE, "own stake");
        vm.assertEq(info.totalStake, MINER_STAKE, "total stake");
        vm.assertEq(token.balanceOf(address(staking)), MINER_STAKE, "the stake has moved");
        vm.assertEq(staking.nodeCount(), 1, "listed");
    }

    function test_register_coordinator() public {
        registerAs(Role.Coordinator, NODE_KEY, OWNER, COORDINATOR_STAKE);
        NodeInfo memory info = staking.nodeInfo(node);
        vm.assertTrue(info.role == Role.Coordinator && info.active, "an active coordinator");
    }

    function test_register_needs_strictly_more_than_the_minimum(bool coordinator) public {
        Role role = coordinator ? Role.Coordinator : Role.Miner;
        uint256 minimum = coordinator ? 2_000_000 ether : 20_000 ether;
        bytes memory signature = consent(NODE_KEY, OWNER, role);

        stakeAs(OWNER, minimum);
        vm.expectRevert(abi.encodeWithSelector(IStaking.OwnStakeTooSmall.selector, minimum, minimum));
        vm.prank(OWNER);
        staking.register(role, node, "", deadline(), signature);

        stakeAs(OWNER, 1);
        vm.prank(OWNER);
        staking.register(role, node, "", deadline(), signature);
        vm.assertTrue(staking.nodeInfo(node).active, "one wei more is enough");
    }

    function test_register_refuses_no_role() public {
        bytes memory signature = consent(NODE_KEY, OWNER, Role.None);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.RoleRequired.selector));
        vm.prank(OWNER);
        staking.register(Role.None, node, "", deadline(), signature);
    }

    function test_register_takes_a_key_once_in_any_role() public {
        registerMiner();
        bytes memory signature = consent(NODE_KEY, OTHER_OWNER, Role.Coordinator);
        vm.expectRevert(revertOf(INodeRegistry.AlreadyRegistered.selector, node));
        vm.prank(OTHER_OWNER);
        staking.register(Role.Coordinator, node, "", deadline(), signature);
    }

    function test_register_refuses_an_expired_consent() public {
        uint256 until = deadline();
        bytes memory signature = consent(NODE_KEY, OWNER, Role.Miner);
        vm.warp(until + 1);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ConsentExpired.selector, until));
        vm.prank(OWNER);
        staking.register(Role.Miner, node, "", until, signature);
    }

    function test_register_takes_a_consent_in_its_last_second() public {
        uint256 until = deadline();
        bytes memory signature = consent(NODE_KEY, OWNER, Role.Miner);
        stakeAs(OWNER, MINER_STAKE);
        vm.warp(until);
        vm.prank(OWNER);
        staking.register(Role.Miner, node, "", until, signature);
    }

    function test_register_refuses_the_consent_of_another_key() public {
        bytes32 digest = staking.consentDigest(OWNER, node, Role.Miner, deadline());
        bytes memory signature = signDigest(OTHER_NODE_KEY, digest);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ConsentNotByNode.selector, node, otherNode));
        vm.prank(OWNER);
        staking.register(Role.Miner, node, "", deadline(), signature);
    }

    /// @dev Every field of the consent is bound: owner, role and deadline in turn are not what was signed.
    function test_register_refuses_a_consent_to_something_else() public {
        bytes memory signature = consent(NODE_KEY, OWNER, Role.Miner);
        vm.expectPartialRevert(INodeRegistry.ConsentNotByNode.selector);
        vm.prank(OTHER_OWNER);
        staking.register(Role.Miner, node, "", deadline(), signature);

        vm.expectPartialRevert(INodeRegistry.ConsentNotByNode.selector);
        vm.prank(OWNER);
        staking.register(Role.Coordinator, node, "", deadline(), signature);

        vm.expectPartialRevert(INodeRegistry.ConsentNotByNode.selector);
        vm.prank(OWNER);
        staking.register(Role.Miner, node, "", deadline() + 1, signature);
    }

    function test_register_refuses_a_consent_for_another_contract_or_chain() public {
        bytes memory signature = consent(NODE_KEY, OWNER, Role.Miner);
        IStaking twin = newStaking(address(slashing));
        vm.startPrank(OWNER);
        vm.expectPartialRevert(INodeRegistry.ConsentNotByNode.selector);
        twin.register(Role.Miner, node, "", deadline(), signature);

        vm.chainId(424_242);
        vm.expectPartialRevert(INodeRegistry.ConsentNotByNode.selector);
        staking.register(Role.Miner, node, "", deadline(), signature);
        vm.stopPrank();
    }

    function test_register_refuses_a_signature_of_another_length() public {
        bytes memory signature = new bytes(64);
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, 64));
        vm.prank(OWNER);
        staking.register(Role.Miner, node, "", deadline(), signature);
    }

    function test_metadata_has_a_limit() public {
        bytes memory signature = consent(NODE_KEY, OWNER, Role.Miner);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.MetadataTooLong.selector, 513, 512));
        vm.prank(OWNER);
        staking.register(Role.Miner, node, string(new bytes(513)), deadline(), signature);

        stakeAs(OWNER, MINER_STAKE);
        vm.prank(OWNER);
        staking.register(Role.Miner, node, string(new bytes(512)), deadline(), signature);

        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.MetadataTooLong.selector, 513, 512));
        vm.prank(OWNER);
        staking.setMetadata(node, string(new bytes(513)));
    }

    function test_metadata_is_the_owners_to_change() public {
        registerMiner();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotOwner.selector, node, node));
        vm.prank(node);
        staking.setMetadata(node, "new");

        vm.expectEmit(address(staking));
        emit INodeRegistry.MetadataChanged(node, "new");
        vm.prank(OWNER);
        staking.setMetadata(node, "new");

        vm.expectRevert(revertOf(INodeRegistry.NotRegistered.selector, otherNode));
        vm.prank(OWNER);
        staking.setMetadata(otherNode, "new");
    }

    function test_leaves_are_counted_in_the_order_of_registration() public {
        registerMiner();
        registerAs(Role.Coordinator, OTHER_NODE_KEY, OTHER_OWNER, COORDINATOR_STAKE);
        vm.assertEq(staking.nodeCount(), 2, "both");
        vm.assertEq(staking.leafOf(node), 0, "first");
        vm.assertEq(staking.leafOf(otherNode), 1, "second");
        vm.assertTrue(staking.roleOf(otherNode) == Role.Coordinator, "role");
        vm.expectRevert(revertOf(INodeRegistry.NotRegistered.selector, ANN));
        staking.leafOf(ANN);
    }

    /// @dev Somebody else's stake behind the key is not the owner's own.
    function test_register_counts_the_callers_own_stake_only() public {
        vm.prank(ANN);
        staking.stake(node, MINER_STAKE);
        stakeAs(OWNER, 5 ether);
        bytes memory signature = consent(NODE_KEY, OWNER, Role.Miner);
        vm.expectRevert(abi.encodeWithSelector(IStaking.OwnStakeTooSmall.selector, 5 ether, 20_000 ether));
        vm.prank(OWNER);
        staking.register(Role.Miner, node, "", deadline(), signature);
    }

    function test_deregister_is_for_good() public {
        registerMiner();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotOwner.selector, node, ANN));
        vm.prank(ANN);
        staking.deregister(node);

        vm.expectEmit(address(staking));
        emit INodeRegistry.NodeDeregistered(node);
        vm.prank(OWNER);
        staking.deregister(node);
        vm.assertTrue(staking.nodeInfo(node).left && staking.weightOf(node) == 0, "no weight");
        vm.assertEq(staking.totalWeight(), 0, "nor in the tree");

        bytes memory signature = consent(NODE_KEY, OWNER, Role.Miner);
        bytes memory gone = revertOf(INodeRegistry.NodeHasLeft.selector, node);
        vm.startPrank(OWNER);
        vm.expectRevert(gone);
        staking.register(Role.Miner, node, "", deadline(), signature);
        vm.expectRevert(gone);
        staking.stake(node, 1 ether);
        vm.expectRevert(gone);
        staking.deregister(node);
        vm.stopPrank();
        vm.expectRevert(revertOf(IStaking.NodeInactive.selector, node));
        voteAs(ANN, 1 ether);
        uint256 requestId = unvoteAllAs(OWNER);
        passUnbonding();
        vm.assertEq(withdrawAs(OWNER, requestId), MINER_STAKE, "its stake leaves as before");
        vm.assertTrue(staking.nodeInfo(node).left, "and it has left for all that");
    }

    function test_an_unknown_node_is_all_zero() public view {
        NodeInfo memory info = staking.nodeInfo(node);
        vm.assertEq(info.owner, address(0), "owner");
        vm.assertTrue(info.role == Role.None && !info.active && info.jailedUntil == 0, "nothing");
    }

    function test_delays_are_in_bounds() public {
        refusedDelay(59);
        refusedDelay(60 days + 1);
        StakingParameters memory changed = parameters(address(slashing));
        changed.unbondingDelay = 1 minutes;
        vm.assertEq(IStaking(create("Staking", abi.encode(changed))).UNBONDING_DELAY(), 60, "the least");
        changed.unbondingDelay = 60 days;
        create("Staking", abi.encode(changed));
    }

    function refusedDelay(uint256 delay) internal {
        StakingParameters memory changed = parameters(address(slashing));
        changed.unbondingDelay = delay;
        vm.expectRevert(abi.encodeWithSelector(IStaking.UnbondingDelayOutOfBounds.selector, delay));
        IStaking(create("Staking", abi.encode(changed)));
    }

    function test_the_slashers_are_three() public {
        StakingParameters memory changed = parameters(ESCROW);
        vm.expectRevert(abi.encodeWithSelector(IStaking.SlashersNotDistinct.selector));
        IStaking(create("Staking", abi.encode(changed)));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Fixture} from "./Fixture.sol";
import {Staking} from "../src/Staking.sol";
import {INodeRegistry, Role} from "../src/interfaces/INodeRegistry.sol";
import {IStaking, NodeInfo} from "../src/interfaces/IStaking.sol";

/// @notice Who may register which key as what, and for how much.
contract StakingRegisterTest is Fixture {
    function test_register_miner() public {
        vm.expectEmit(address(staking));
        emit INodeRegistry.NodeRegistered(node, OWNER, Role.Miner, "metadata");
        registerMiner();

        NodeInfo memory info = staking.nodeInfo(node);
        vm.assertEq(info.owner, OWNER, "owner");
        vm.assertTrue(info.role == Role.Miner && info.active && !info.jailed, "an active miner");
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

        vm.expectRevert(abi.encodeWithSelector(IStaking.OwnStakeTooSmall.selector, minimum, minimum));
        vm.prank(OWNER);
        staking.register(role, node, "", minimum, deadline(), signature);

        vm.prank(OWNER);
        staking.register(role, node, "", minimum + 1, deadline(), signature);
        vm.assertTrue(staking.nodeInfo(node).active, "one wei more is enough");
    }

    function test_register_refuses_no_role() public {
        bytes memory signature = consent(NODE_KEY, OWNER, Role.None);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.RoleRequired.selector));
        vm.prank(OWNER);
        staking.register(Role.None, node, "", COORDINATOR_STAKE, deadline(), signature);
    }

    function test_register_takes_a_key_once_in_any_role() public {
        registerMiner();
        bytes memory signature = consent(NODE_KEY, OTHER_OWNER, Role.Coordinator);
        vm.expectRevert(revertOf(INodeRegistry.AlreadyRegistered.selector, node));
        vm.prank(OTHER_OWNER);
        staking.register(Role.Coordinator, node, "", COORDINATOR_STAKE, deadline(), signature);
    }

    function test_register_refuses_an_expired_consent() public {
        uint256 until = deadline();
        bytes memory signature = consent(NODE_KEY, OWNER, Role.Miner);
        vm.warp(until + 1);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ConsentExpired.selector, until));
        vm.prank(OWNER);
        staking.register(Role.Miner, node, "", MINER_STAKE, until, signature);
    }

    function test_register_takes_a_consent_in_its_last_second() public {
        uint256 until = deadline();
        bytes memory signature = consent(NODE_KEY, OWNER, Role.Miner);
        vm.warp(until);
        vm.prank(OWNER);
        staking.register(Role.Miner, node, "", MINER_STAKE, until, signature);
    }

    function test_register_refuses_the_consent_of_another_key() public {
        bytes32 digest = staking.consentDigest(OWNER, node, Role.Miner, deadline());
        bytes memory signature = signDigest(OTHER_NODE_KEY, digest);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.ConsentNotByNode.selector, node, otherNode));
        vm.prank(OWNER);
        staking.register(Role.Miner, node, "", MINER_STAKE, deadline(), signature);
    }

    /// @dev Every field of the consent is bound: owner, role and deadline in turn are not what was signed.
    function test_register_refuses_a_consent_to_something_else() public {
        bytes memory signature = consent(NODE_KEY, OWNER, Role.Miner);
        vm.expectPartialRevert(INodeRegistry.ConsentNotByNode.selector);
        vm.prank(OTHER_OWNER);
        staking.register(Role.Miner, node, "", MINER_STAKE, deadline(), signature);

        vm.expectPartialRevert(INodeRegistry.ConsentNotByNode.selector);
        vm.prank(OWNER);
        staking.register(Role.Coordinator, node, "", COORDINATOR_STAKE, deadline(), signature);

        vm.expectPartialRevert(INodeRegistry.ConsentNotByNode.selector);
        vm.prank(OWNER);
        staking.register(Role.Miner, node, "", MINER_STAKE, deadline() + 1, signature);
    }

    function test_register_refuses_a_consent_for_another_contract_or_chain() public {
        bytes memory signature = consent(NODE_KEY, OWNER, Role.Miner);
        Staking twin = newStaking(address(slashing));
        vm.startPrank(OWNER);
        token.approve(address(twin), type(uint256).max);
        vm.expectPartialRevert(INodeRegistry.ConsentNotByNode.selector);
        twin.register(Role.Miner, node, "", MINER_STAKE, deadline(), signature);

        vm.chainId(424_242);
        vm.expectPartialRevert(INodeRegistry.ConsentNotByNode.selector);
        staking.register(Role.Miner, node, "", MINER_STAKE, deadline(), signature);
        vm.stopPrank();
    }

    function test_register_refuses_a_signature_of_another_length() public {
        bytes memory signature = new bytes(64);
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, 64));
        vm.prank(OWNER);
        staking.register(Role.Miner, node, "", MINER_STAKE, deadline(), signature);
    }

    function test_metadata_has_a_limit() public {
        bytes memory signature = consent(NODE_KEY, OWNER, Role.Miner);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.MetadataTooLong.selector, 513, 512));
        vm.prank(OWNER);
        staking.register(Role.Miner, node, string(new bytes(513)), MINER_STAKE, deadline(), signature);

        vm.prank(OWNER);
        staking.register(Role.Miner, node, string(new bytes(512)), MINER_STAKE, deadline(), signature);

        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.MetadataTooLong.selector, 513, 512));
        vm.prank(OWNER);
        staking.setMetadata(node, string(new bytes(513)));
    }

    function test_metadata_is_the_owners_to_change() public {
        registerMiner();
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.NotOwner.selector, node, node));
        vm.prank(node);
        staking.setMetadata(node, "new");

        vm.prank(OWNER);
        staking.setMetadata(node, "new");
        vm.assertEq(keccak256(bytes(staking.nodeInfo(node).metadata)), keccak256("new"), "metadata");

        vm.expectRevert(revertOf(INodeRegistry.NotRegistered.selector, otherNode));
        vm.prank(OWNER);
        staking.setMetadata(otherNode, "new");
    }

    function test_nodes_are_listed_in_the_order_of_registration() public {
        registerMiner();
        registerAs(Role.Coordinator, OTHER_NODE_KEY, OTHER_OWNER, COORDINATOR_STAKE);
        address[] memory all = staking.nodesPage(0, type(uint256).max);
        vm.assertEq(all.length, 2, "both");
        vm.assertEq(all[0], node, "first");
        vm.assertEq(all[1], otherNode, "second");
        vm.assertEq(staking.nodesPage(1, 1)[0], otherNode, "a page of one");
        vm.assertEq(staking.nodesPage(2, 5).length, 0, "beyond the end");
        vm.assertEq(staking.nodesPage(0, 0).length, 0, "nothing asked");
    }

    function test_an_unknown_node_is_all_zero() public view {
        NodeInfo memory info = staking.nodeInfo(node);
        vm.assertEq(info.owner, address(0), "owner");
        vm.assertTrue(info.role == Role.None && !info.active && !info.jailed, "nothing");
    }

    function test_delays_are_in_bounds() public {
        vm.expectRevert(abi.encodeWithSelector(IStaking.UnbondingDelayOutOfBounds.selector, 59));
        new Staking(address(token), address(slashing), 59, EPOCH_BLOCKS, SEED_DELAY_BLOCKS);
        vm.expectRevert(abi.encodeWithSelector(IStaking.UnbondingDelayOutOfBounds.selector, 60 days + 1));
        new Staking(address(token), address(slashing), 60 days + 1, EPOCH_BLOCKS, SEED_DELAY_BLOCKS);
    }
}

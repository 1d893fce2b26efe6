// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Fixture} from "./Fixture.sol";
import {INodeRegistry, Role} from "../src/interfaces/INodeRegistry.sol";
import {ISlashing} from "../src/interfaces/ISlashing.sol";
import {IStaking, JAIL_FOREVER, NodeInfo} from "../src/interfaces/IStaking.sol";

/// @notice What counts as proof of equivocation, what it costs, and what does not count.
contract SlashingTest is Fixture {
    uint8 internal constant KIND = 3;
    bytes32 internal constant SLOT = keccak256("slot");
    bytes32 internal constant BODY_A = keccak256("body A");
    bytes32 internal constant BODY_B = keccak256("body B");

    function setUp() public override {
        super.setUp();
        registerMiner();
    }

    function statement(uint256 key, uint8 kind, bytes32 slot, bytes32 body)
        internal
        view
        returns (bytes memory)
    {
        return signDigest(key, slashing.statementDigest(kind, slot, body));
    }

    function report(uint256 key, uint8 kind, bytes32 slot) internal {
        bytes memory a = statement(key, kind, slot, BODY_A);
        bytes memory b = statement(key, kind, slot, BODY_B);
        vm.prank(REPORTER);
        slashing.equivocation(kind, slot, BODY_A, a, BODY_B, b);
    }

    function test_equivocation_takes_own_voters_and_unbonding_stake_to_the_last_wei() public {
        voteAs(ANN, 777);
        uint256 benShares = voteAs(BEN, 5 ether);
        uint256 benRequest = unvoteAs(BEN, benShares);
        uint256 ownRequest = unvoteAs(OWNER, 0.5 ether * 1e3);
        uint256 held = MINER_STAKE + 777 + 5 ether;
        // In whole micro-CAI.
        uint256 reward = held / 10 / 1e12 * 1e12;
        uint256 supply = token.totalSupply();

        vm.expectEmit(address(staking));
        emit IStaking.Slashed(node, address(slashing), held - 5.5 ether, 5.5 ether, held / 10, JAIL_FOREVER);
        vm.expectEmit(address(slashing));
        emit ISlashing.Equivocation(node, KIND, SLOT, REPORTER, reward);
        report(NODE_KEY, KIND, SLOT);

        NodeInfo memory info = staking.nodeInfo(node);
        vm.assertTrue(info.jailedUntil == JAIL_FOREVER && !info.active, "jailed");
        vm.assertEq(info.totalStake + info.ownStake + info.unbondingStake, 0, "nothing is left");
        vm.assertEq(staking.stakeOf(node, ANN), 0, "nor of the voter's");
        vm.assertEq(slashing.evidenceOf(evidenceKey()).reward, reward, "reward");

        passUnbonding();
        vm.assertEq(withdrawAs(BEN, benRequest), 0, "unbonding was slashed");
        vm.assertEq(withdrawAs(OWNER, ownRequest), 0, "the owner's too");
        passPriority();
        staking.burnSlashed();
        vm.assertEq(token.totalSupply(), supply - (held - held / 10), "the rest is burned");
        vm.assertEq(slashing.claimReward(evidenceKey()), reward, "paid");
        vm.assertEq(token.balanceOf(REPORTER), reward, "received");
    }

    function evidenceKey() internal view returns (bytes32) {
        return slashing.evidenceKeyOf(node, KIND, SLOT);
    }

    function passPriority() internal {
        vm.roll(vm.getBlockNumber() + slashing.PRIORITY_BLOCKS() + 1);
    }

    function test_a_reward_is_claimed_once_and_by_whom_it_is_for() public {
        report(NODE_KEY, KIND, SLOT);
        passPriority();
        vm.prank(ANN);
        uint256 reward = slashing.claimReward(evidenceKey());
        vm.assertEq(token.balanceOf(REPORTER), reward, "whoever asks for it");
        bytes32 claimed = evidenceKey();
        vm.expectRevert(abi.encodeWithSelector(ISlashing.NothingToClaim.selector, claimed));
        slashing.claimReward(claimed);
        vm.assertTrue(slashing.isEvidenceSpent(node, KIND, SLOT), "spent for good");
    }

    function test_a_reward_waits_for_commitments() public {
        report(NODE_KEY, KIND, SLOT);
        uint256 lastBlock = vm.getBlockNumber() + 256;
        vm.roll(lastBlock);
        bytes32 waiting = evidenceKey();
        vm.expectRevert(abi.encodeWithSelector(ISlashing.PriorityOpen.selector, lastBlock));
        slashing.claimReward(waiting);
        vm.roll(lastBlock + 1);
        slashing.claimReward(waiting);
    }

    function test_the_reward_never_exceeds_half_of_what_the_owner_loses(uint256 votes) public {
        votes = bound(votes, 1, 9_000_000 ether);
        voteAs(ANN, votes);
        report(NODE_KEY, KIND, SLOT);
        uint256 reward = slashing.evidenceOf(evidenceKey()).reward;
        vm.assertLe(reward, (MINER_STAKE + votes) / 10, "a tenth");
        // The least reward is rounded up to a basis point.
        uint256 least = 100 ether + (MINER_STAKE + votes) / 10_000;
        vm.assertTrue(2 * reward <= MINER_STAKE || reward <= least, "half");
        vm.assertGe(reward + 1e12, least < MINER_STAKE / 10 ? 100 ether : 0, "worth a report");
    }

    function test_an_owner_whose_stake_is_on_its_way_out_is_worth_a_report() public {
        unvoteAs(OWNER, staking.sharesOf(node, OWNER));
        report(NODE_KEY, KIND, SLOT);
        vm.assertGe(slashing.evidenceOf(evidenceKey()).reward, 100 ether, "a little");
    }

    function test_a_coordinator_is_slashed_alike() public {
        registerAs(Role.Coordinator, OTHER_NODE_KEY, OTHER_OWNER, COORDINATOR_STAKE);
        report(OTHER_NODE_KEY, KIND, SLOT);
        vm.assertEq(staking.nodeInfo(otherNode).jailedUntil, JAIL_FOREVER, "jailed");
        vm.assertTrue(staking.nodeInfo(node).active, "the other is not touched");
    }

    function test_two_signers_in_one_slot_answer_each_for_itself() public {
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        report(NODE_KEY, KIND, SLOT);
        report(OTHER_NODE_KEY, KIND, SLOT);
        vm.assertEq(staking.nodeInfo(node).totalStake + staking.nodeInfo(otherNode).totalStake, 0, "both");
    }

    function test_each_evidence_pays_once_in_either_order() public {
        report(NODE_KEY, KIND, SLOT);
        vm.assertTrue(slashing.isEvidenceSpent(node, KIND, SLOT), "spent");
        bytes memory a = statement(NODE_KEY, KIND, SLOT, BODY_A);
        bytes memory b = statement(NODE_KEY, KIND, SLOT, BODY_B);
        vm.expectRevert(abi.encodeWithSelector(ISlashing.EvidenceSpent.selector, node, KIND, SLOT));
        slashing.equivocation(KIND, SLOT, BODY_B, b, BODY_A, a);
    }

    function test_further_evidence_never_reverts_and_finds_nothing() public {
        report(NODE_KEY, KIND, SLOT);
        report(NODE_KEY, KIND, keccak256("another slot"));
        report(NODE_KEY, KIND + 1, SLOT);
        bytes32 second = slashing.evidenceKeyOf(node, KIND + 1, SLOT);
        vm.assertEq(slashing.evidenceOf(second).reward, 0, "nothing was left to take");
        passPriority();
        vm.expectRevert(abi.encodeWithSelector(ISlashing.NothingToClaim.selector, second));
        slashing.claimReward(second);
    }

    function test_a_node_that_has_left_is_jailed_all_the_same() public {
        uint256 requestId = unvoteAs(OWNER, staking.sharesOf(node, OWNER));
        passUnbonding();
        withdrawAs(OWNER, requestId);
        report(NODE_KEY, KIND, SLOT);
        vm.assertEq(staking.nodeInfo(node).jailedUntil, JAIL_FOREVER, "jailed");
        vm.expectRevert(abi.encodeWithSelector(IStaking.NodeJailed.selector, node, JAIL_FOREVER));
        vm.prank(OWNER);
        staking.stake(node, MINER_STAKE);
    }

    function test_a_deregistered_node_is_slashed_all_the_same() public {
        vm.prank(OWNER);
        staking.deregister(node);
        report(NODE_KEY, KIND, SLOT);
        vm.assertEq(staking.nodeInfo(node).totalStake, 0, "its stake was still there");
        vm.assertGe(slashing.evidenceOf(evidenceKey()).reward, 100 ether, "and pays");
    }

    function test_a_jailed_node_takes_no_stake_and_gives_none() public {
        voteAs(ANN, 5 ether);
        report(NODE_KEY, KIND, SLOT);
        vm.expectRevert(revertOf(IStaking.NodeInactive.selector, node));
        voteAs(ANN, 5 ether);
        uint256 shares = staking.sharesOf(node, ANN);
        vm.expectRevert(abi.encodeWithSelector(IStaking.NothingToMove.selector));
        unvoteAs(ANN, shares);
    }

    function test_the_weight_is_gone_from_the_epoch_after_the_slash() public {
        vm.roll(1105);
        report(NODE_KEY, KIND, SLOT);
        vm.roll(1200);
        vm.assertEq(staking.weightAt(node, 11), micro(MINER_STAKE), "the past stays");
        vm.assertEq(staking.weightAt(node, 12), 0, "no weight any more");
    }

    function test_one_statement_proves_nothing() public {
        bytes memory a = statement(NODE_KEY, KIND, SLOT, BODY_A);
        vm.expectRevert(abi.encodeWithSelector(ISlashing.SameStatement.selector));
        slashing.equivocation(KIND, SLOT, BODY_A, a, BODY_A, a);
        // Under another body the same signature recovers to somebody else.
        vm.expectPartialRevert(ISlashing.DifferentSigners.selector);
        slashing.equivocation(KIND, SLOT, BODY_A, a, BODY_B, a);
    }

    function test_no_forged_second_statement_slashes(bytes32 bodyB, bytes32 r, bytes32 s, bool odd) public {
        bytes memory a = statement(NODE_KEY, KIND, SLOT, BODY_A);
        bytes memory forged = abi.encodePacked(r, s, odd ? uint8(27) : uint8(28));
        bytes memory call = abi.encodeCall(ISlashing.equivocation, (KIND, SLOT, BODY_A, a, bodyB, forged));
        (bool accepted,) = address(slashing).call(call);
        vm.assertTrue(!accepted && staking.nodeInfo(node).active, "nobody was slashed");
    }

    function test_statements_of_two_signers_are_no_evidence() public {
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        bytes memory a = statement(NODE_KEY, KIND, SLOT, BODY_A);
        bytes memory b = statement(OTHER_NODE_KEY, KIND, SLOT, BODY_B);
        vm.expectRevert(abi.encodeWithSelector(ISlashing.DifferentSigners.selector, node, otherNode));
        slashing.equivocation(KIND, SLOT, BODY_A, a, BODY_B, b);
    }

    function test_statements_for_two_slots_or_kinds_are_no_evidence() public {
        bytes memory a = statement(NODE_KEY, KIND, SLOT, BODY_A);
        bytes memory b = statement(NODE_KEY, KIND, keccak256("another"), BODY_B);
        vm.expectPartialRevert(ISlashing.DifferentSigners.selector);
        slashing.equivocation(KIND, SLOT, BODY_A, a, BODY_B, b);
        b = statement(NODE_KEY, KIND + 1, SLOT, BODY_B);
        vm.expectPartialRevert(ISlashing.DifferentSigners.selector);
        slashing.equivocation(KIND, SLOT, BODY_A, a, BODY_B, b);
    }

    function test_the_digest_is_that_of_eip_712() public view {
        bytes32 domainType =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 domain = keccak256(
            abi.encode(domainType, keccak256("Cuckoo"), keccak256("1"), block.chainid, address(slashing))
        );
        bytes32 statementType = keccak256("Statement(uint8 kind,bytes32 slot,bytes32 body)");
        bytes32 body = keccak256(abi.encode(statementType, KIND, SLOT, BODY_A));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain, body));
        vm.assertEq(slashing.statementDigest(KIND, SLOT, BODY_A), digest, "of this chain and contract");
    }

    function test_the_last_slashable_kind_is_63() public {
        test_kinds_from_64_on_are_not_slashable(64);
        test_kinds_from_64_on_are_not_slashable(63);
    }

    function test_kinds_from_64_on_are_not_slashable(uint8 kind) public {
        bytes memory a = statement(NODE_KEY, kind, SLOT, BODY_A);
        bytes memory b = statement(NODE_KEY, kind, SLOT, BODY_B);
        if (kind >= 64) vm.expectRevert(abi.encodeWithSelector(ISlashing.KindNotSlashable.selector, kind));
        slashing.equivocation(kind, SLOT, BODY_A, a, BODY_B, b);
        vm.assertTrue((staking.nodeInfo(node).jailedUntil != 0) == (kind < 64), "below 64 only");
    }

    function test_a_stranger_can_equivocate_until_it_registers() public {
        bytes memory a = statement(OTHER_NODE_KEY, KIND, SLOT, BODY_A);
        bytes memory b = statement(OTHER_NODE_KEY, KIND, SLOT, BODY_B);
        vm.expectRevert(revertOf(INodeRegistry.NotRegistered.selector, otherNode));
        slashing.equivocation(KIND, SLOT, BODY_A, a, BODY_B, b);
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        report(OTHER_NODE_KEY, KIND, SLOT);
        vm.assertEq(staking.nodeInfo(otherNode).jailedUntil, JAIL_FOREVER, "the evidence was kept");
    }

    function test_signatures_have_one_form() public {
        bytes memory a = statement(NODE_KEY, KIND, SLOT, BODY_A);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(NODE_KEY, slashing.statementDigest(KIND, SLOT, BODY_B));
        bytes32 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        bytes32 highS = bytes32(uint256(order) - uint256(s));

        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureS.selector, highS));
        slashing.equivocation(KIND, SLOT, BODY_A, a, BODY_B, abi.encodePacked(r, highS, v ^ 7));
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignature.selector));
        slashing.equivocation(KIND, SLOT, BODY_A, a, BODY_B, abi.encodePacked(r, s, v - 27));
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, 66));
        slashing.equivocation(KIND, SLOT, BODY_A, a, BODY_B, abi.encodePacked(r, s, v, uint8(0)));
    }

    function test_statements_of_another_chain_or_contract_are_no_evidence() public {
        bytes memory a = statement(NODE_KEY, KIND, SLOT, BODY_A);
        bytes memory b = statement(NODE_KEY, KIND, SLOT, BODY_B);
        vm.chainId(424_242);
        vm.expectPartialRevert(ISlashing.DifferentSigners.selector);
        slashing.equivocation(KIND, SLOT, BODY_A, a, BODY_B, b);
    }

    function test_the_slasher_is_the_one_that_staking_names() public {
        vm.expectRevert(revertOf(ISlashing.NotTheSlasher.selector, address(slashing)));
        ISlashing(create("Slashing", abi.encode(address(staking), 256)));
    }

    function test_priority_is_for_some_blocks() public {
        uint256[2] memory bad = [uint256(0), 100_001];
        for (uint256 i = 0; i < bad.length; ++i) {
            address next = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
            IStaking other = IStaking(create("Staking", abi.encode(parameters(next))));
            vm.expectRevert(abi.encodeWithSelector(ISlashing.PriorityOutOfBounds.selector, bad[i]));
            ISlashing(create("Slashing", abi.encode(address(other), bad[i])));
        }
        address mine = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        address behind = create("Staking", abi.encode(parameters(mine)));
        ISlashing most = ISlashing(create("Slashing", abi.encode(behind, 100_000)));
        vm.assertEq(most.PRIORITY_BLOCKS(), 100_000, "the most");
    }
}

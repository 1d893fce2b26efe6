// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {JuryFixture} from "./JuryFixture.sol";
import {Accusation, Dispute, Fault, IDisputes, Phase} from "../src/interfaces/IDisputes.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";
import {JAIL_FOREVER} from "../src/interfaces/IStaking.sol";

/// @notice Who can be accused of what, and how the jury is drawn.
contract DisputesOpenTest is JuryFixture {
    function test_opening_takes_the_bond_and_waits_for_a_later_block() public {
        uint256 before = token.balanceOf(REPORTER);
        uint256 disputeId = open(Fault.FalseResult);
        vm.assertEq(token.balanceOf(REPORTER), before - BOND, "bond");
        vm.assertEq(token.balanceOf(address(disputes)), BOND, "held");
        Dispute memory dispute = disputes.disputeOf(disputeId);
        vm.assertEq(uint256(dispute.phase), uint256(Phase.Drawing), "phase");
        vm.assertEq(dispute.seedBlock, vm.getBlockNumber() + SEED_DELAY_BLOCKS, "seed block");
        vm.assertEq(dispute.deadline, vm.getBlockTimestamp() + DRAW_PERIOD, "deadline");
        vm.assertEq(latestOf(Fault.FalseResult), disputeId, "latest");
        vm.roll(dispute.seedBlock);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.SeedNotReady.selector, dispute.seedBlock));
        disputes.drawJurors(disputeId);
    }

    function test_evidence_on_chain_is_what_was_hashed_and_bounded() public {
        Accusation memory said = accusation(Fault.FalseResult);
        said.evidence = "the bundle";
        refuse(said, abi.encodeWithSelector(IDisputes.WrongEvidenceHash.selector, keccak256("the bundle")));
        said.evidenceHash = keccak256("the bundle");
        open(said);
        said = accusation(Fault.FalseResult);
        said.taskId = keccak256("another task");
        said.evidenceHash = 0;
        refuse(said, abi.encodeWithSelector(IDisputes.WrongEvidenceHash.selector, bytes32(0)));
        said.evidence = new bytes(8_193);
        refuse(said, abi.encodeWithSelector(IDisputes.EvidenceTooLong.selector, 8_193, 8_192));
        said.evidence = new bytes(8_192);
        said.evidenceHash = keccak256(said.evidence);
        vm.expectEmit(address(disputes));
        emit IDisputes.DisputeOpened(
            2,
            node,
            REPORTER,
            said.taskId,
            Fault.FalseResult,
            said.committedAt,
            said.evidenceHash,
            said.evidence,
            vm.getBlockNumber() + SEED_DELAY_BLOCKS
        );
        open(said);
    }

    function refuse(Accusation memory said, bytes memory refusal) internal {
        vm.expectRevert(refusal);
        open(said);
    }

    function test_only_a_registered_node_and_a_real_fault() public {
        Accusation memory said = accusation(Fault.None);
        bytes4 selector = IDisputes.NoSuchAccusation.selector;
        refuse(said, abi.encodeWithSelector(selector, node, Fault.None));
        said = accusation(Fault.FalseResult);
        said.accused = otherNode;
        refuse(said, abi.encodeWithSelector(selector, otherNode, Fault.FalseResult));
    }

    function test_a_fault_has_a_bounded_age() public {
        Accusation memory said = accusation(Fault.FalseResult);
        said.committedAt = vm.getBlockTimestamp() + 1;
        refuse(said, abi.encodeWithSelector(IDisputes.AgeOutOfBounds.selector, said.committedAt));
        said.committedAt = vm.getBlockTimestamp() - MAX_AGE - 1;
        refuse(said, abi.encodeWithSelector(IDisputes.AgeOutOfBounds.selector, said.committedAt));
        said.committedAt = vm.getBlockTimestamp() - MAX_AGE;
        open(said);
    }

    function test_one_dispute_at_a_time_about_what_is_shown() public {
        Accusation memory said = accusation(Fault.FalseResult);
        uint256 disputeId = open(said);
        bytes memory refusal = abi.encodeWithSelector(IDisputes.AlreadyDisputed.selector, disputeId);
        refuse(said, refusal);
        draw(disputeId, keccak256("seed"));
        refuse(said, refusal);
        pass();
        disputes.closeDispute(disputeId);
        assertPhase(disputeId, Phase.NoVerdict, "nobody voted");
        vm.assertEq(open(said), disputeId + 1, "may be opened again");
    }

    function test_the_jury_is_odd_and_distinct_and_without_the_parties(bytes32 seed) public {
        Accusation memory said = accusation(Fault.FalseResult);
        said.reporterNode = registerReportersNode();
        uint256 disputeId = open(said);
        draw(disputeId, seed);
        Dispute memory dispute = disputes.disputeOf(disputeId);
        vm.assertEq(dispute.jurorLeaves.length, 7, "seven");
        for (uint256 i = 0; i < 7; ++i) {
            uint256 leaf = dispute.jurorLeaves[i];
            vm.assertTrue(leaf != staking.leafOf(node), "not the accused");
            vm.assertTrue(leaf != staking.leafOf(said.reporterNode), "not the reporter's");
            for (uint256 j = 0; j < i; ++j) {
                vm.assertTrue(leaf != dispute.jurorLeaves[j], "distinct");
            }
        }
        vm.assertEq(dispute.deadline, vm.getBlockTimestamp() + VOTE_PERIOD, "time to vote");
    }

    /// @dev With far more stake than all others: it would be drawn at once.
    function registerReportersNode() internal returns (address) {
        registerAs(Role.Miner, OTHER_NODE_KEY, REPORTER, 300_000 ether);
        return otherNode;
    }

    function test_nobody_names_a_node_of_somebody_elses_to_keep_it_out() public {
        Accusation memory said = accusation(Fault.FalseResult);
        said.reporterNode = vm.addr(peerKeys[0]);
        refuse(said, abi.encodeWithSelector(IDisputes.NotTheReportersNode.selector, said.reporterNode));
    }

    function test_stake_that_moves_after_the_seed_block_is_not_drawn() public {
        uint256 disputeId = open(Fault.FalseResult);
        uint256 seedBlock = disputes.disputeOf(disputeId).seedBlock;
        (uint256 fromBlock, uint256 untilBlock) = staking.weightsLock();
        vm.assertEq(fromBlock, seedBlock, "locked from the seed block on");
        vm.assertEq(untilBlock, seedBlock + 256, "for as long as its hash can be read");

        vm.roll(seedBlock + 1);
        // Who knows the hash now registers a node that would be drawn for almost any.
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, 9_000_000 ether);
        uint32 leaf = staking.leafOf(otherNode);
        vm.assertEq(staking.leafWeight(leaf), 0, "not in the tree yet");
        draw(disputeId, keccak256("seed"));
        uint256[] memory leaves = disputes.disputeOf(disputeId).jurorLeaves;
        for (uint256 i = 0; i < leaves.length; ++i) {
            vm.assertTrue(leaves[i] != leaf, "no juror");
        }
        staking.syncLeaf(otherNode);
        vm.assertEq(staking.leafWeight(leaf), 9_000_000, "free again");
    }

    function test_the_tree_is_locked_while_anybody_waits() public {
        uint256 first = open(Fault.FalseResult);
        uint256 second = open(accusationAbout(Fault.FalseResult, keccak256("another task")));
        uint256 third = open(accusationAbout(Fault.FalseResult, keccak256("a third task")));
        draw(first, keccak256("seed"));
        assertLocked(true, "two still wait");
        draw(second, keccak256("seed"));
        assertLocked(true, "one still waits");
        vm.warp(vm.getBlockTimestamp() + DRAW_PERIOD + 1);
        disputes.closeDispute(third);
        assertLocked(false, "nobody waits");
    }

    function assertLocked(bool locked, string memory what) internal view {
        (, uint256 untilBlock) = staking.weightsLock();
        vm.assertTrue((untilBlock != 0) == locked, what);
    }

    function test_a_missed_seed_is_replaced_by_a_later_one() public {
        uint256 disputeId = open(Fault.FalseResult);
        uint256 seedBlock = disputes.disputeOf(disputeId).seedBlock;
        vm.roll(seedBlock + 257);
        vm.expectEmit(address(disputes));
        emit IDisputes.SeedMissed(disputeId, seedBlock);
        disputes.drawJurors(disputeId);
        assertPhase(disputeId, Phase.Drawing, "still waits");
        vm.assertEq(
            disputes.disputeOf(disputeId).seedBlock, seedBlock + 257 + SEED_DELAY_BLOCKS, "another block"
        );
        draw(disputeId, keccak256("seed"));
        assertPhase(disputeId, Phase.Voting, "drawn");
    }

    function test_the_last_block_in_which_a_seed_can_be_read() public {
        uint256 disputeId = open(Fault.FalseResult);
        uint256 seedBlock = disputes.disputeOf(disputeId).seedBlock;
        vm.roll(seedBlock + 256);
        vm.setBlockhash(seedBlock, keccak256("seed"));
        disputes.drawJurors(disputeId);
        assertPhase(disputeId, Phase.Voting, "drawn");
    }

    function test_the_last_second_in_which_a_jury_can_be_drawn() public {
        uint256 disputeId = open(Fault.FalseResult);
        vm.warp(disputes.disputeOf(disputeId).deadline);
        draw(disputeId, keccak256("seed"));
        assertPhase(disputeId, Phase.Voting, "drawn");
    }

    function test_a_jury_that_nobody_draws_in_time_is_none() public {
        uint256 disputeId = open(Fault.FalseResult);
        uint256 deadline = disputes.disputeOf(disputeId).deadline;
        vm.roll(vm.getBlockNumber() + SEED_DELAY_BLOCKS + 1);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.NotOver.selector, deadline));
        disputes.closeDispute(disputeId);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.Over.selector, deadline));
        disputes.drawJurors(disputeId);
        disputes.closeDispute(disputeId);
        assertPhase(disputeId, Phase.NoVerdict, "nothing came of it");
        assertRefunded();
    }

    function assertRefunded() internal {
        uint256 before = token.balanceOf(REPORTER);
        vm.assertEq(disputes.payCredit(REPORTER), BOND, "bond");
        vm.assertEq(token.balanceOf(REPORTER), before + BOND, "paid back");
        vm.assertEq(token.balanceOf(address(disputes)), 0, "nothing is kept");
        vm.expectRevert(revertOf(IDisputes.NothingToPay.selector, REPORTER));
        disputes.payCredit(REPORTER);
    }

    function test_no_jury_no_verdict() public {
        for (uint256 i = 2; i < PEERS; ++i) {
            vm.prank(address(slashing));
            staking.slash(vm.addr(peerKeys[i]), 10_000, 0, JAIL_FOREVER);
        }
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        assertPhase(disputeId, Phase.NoVerdict, "two are no jury");
        assertRefunded();
    }

    function test_fewer_nodes_make_a_smaller_odd_jury() public {
        for (uint256 i = 4; i < PEERS; ++i) {
            vm.prank(address(slashing));
            staking.slash(vm.addr(peerKeys[i]), 10_000, 0, JAIL_FOREVER);
        }
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        vm.assertEq(disputes.disputeOf(disputeId).jurorLeaves.length, 3, "three of four");
    }

    function test_without_any_active_node_there_is_no_jury() public {
        for (uint256 i = 0; i < PEERS; ++i) {
            vm.prank(address(slashing));
            staking.slash(vm.addr(peerKeys[i]), 10_000, 0, JAIL_FOREVER);
        }
        vm.prank(address(slashing));
        staking.slash(node, 10_000, 0, JAIL_FOREVER);
        assertPhase(openAndDraw(Fault.FalseResult), Phase.NoVerdict, "nobody is left");
        assertRefunded();
    }

    function test_bounds_of_the_periods() public {
        refusePeriods(0, 1, 1);
        refusePeriods(1, 0, 1);
        refusePeriods(1, 1, 0);
        refusePeriods(type(uint256).max, 1, 1);
        refusePeriods(1, type(uint256).max, 1);
        refusePeriods(1, 1, type(uint256).max);
        refusePeriods(UNBONDING_DELAY - 2, 1, 1);
        deployAs(UNBONDING_DELAY - 3, 1, 1);
        vm.expectRevert(revertOf(IDisputes.NotTheDisputes.selector, address(disputes)));
        IDisputes(create("Disputes", abi.encode(address(staking), MAX_AGE, DRAW_PERIOD, VOTE_PERIOD)));
    }

    function deployAs(uint256 age, uint256 drawPeriod, uint256 votePeriod) internal {
        address other = address(newStaking(created(2), created(1), created(3)));
        IDisputes(create("Disputes", abi.encode(other, age, drawPeriod, votePeriod)));
    }

    /// @dev At the address that staking expects, so that only the periods are wrong.
    function refusePeriods(uint256 age, uint256 drawPeriod, uint256 votePeriod) internal {
        address other = address(newStaking(created(2), created(1), created(3)));
        bytes4 selector = IDisputes.PeriodsOutOfBounds.selector;
        vm.expectRevert(abi.encodeWithSelector(selector, age, drawPeriod, votePeriod, UNBONDING_DELAY));
        IDisputes(create("Disputes", abi.encode(other, age, drawPeriod, votePeriod)));
    }

    function test_where_nobody_but_the_accused_is_left_there_is_no_verdict() public {
        for (uint256 i = 0; i < peerKeys.length; ++i) {
            vm.prank(peerOwner(peerKeys[i]));
            staking.deregister(vm.addr(peerKeys[i]));
        }
        uint256 disputeId = open(Fault.FalseResult);
        draw(disputeId, keccak256("hash"));
        assertPhase(disputeId, Phase.NoVerdict, "no jury");
    }

    /// @dev The accused is not the first node, and the first one to be drawn is.
    function test_the_jury_is_who_the_hash_of_the_seed_block_draws() public {
        Accusation memory said = accusation(Fault.FalseResult);
        said.accused = vm.addr(peerKeys[0]);
        uint256 disputeId = open(said);
        bytes32 hash = 0;
        bytes32 seed;
        do {
            hash = bytes32(uint256(hash) + 1);
            seed = keccak256(abi.encode(hash, address(disputes), disputeId));
        } while (drawn(seed, 0) != 0);
        draw(disputeId, hash);

        uint256[] memory leaves = disputes.disputeOf(disputeId).jurorLeaves;
        vm.assertEq(leaves.length, 7, "a whole jury");
        uint256 found = 0;
        for (uint256 i = 0; found < 7; ++i) {
            uint256 leaf = drawn(seed, i);
            bool again = leaf == staking.leafOf(said.accused);
            for (uint256 j = 0; j < found; ++j) {
                again = again || leaves[j] == leaf;
            }
            if (again) continue;
            vm.assertEq(leaves[found], leaf, "in the order of the draws");
            ++found;
        }
    }

    function drawn(bytes32 seed, uint256 i) internal view returns (uint256 leaf) {
        (leaf,) = staking.drawLeaf(uint256(keccak256(abi.encode(seed, i))));
    }
}

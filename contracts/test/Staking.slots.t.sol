// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";
import {JAIL_FOREVER} from "../src/interfaces/IStaking.sol";

/// @notice Which calls make slots. Making one costs 22,100 gas, changing one 5,000.
contract StakingSlotsTest is Fixture {
    uint256 internal state;

    /// @dev What is called between this and `made` is undone; call it again.
    function watch() internal {
        state = vm.snapshotState();
        vm.record();
    }

    /// @dev How many of the contract's slots that were written since `watch` were zero before.
    function made() internal returns (uint256 count) {
        (, bytes32[] memory written) = vm.accesses(address(staking));
        vm.revertToState(state);
        for (uint256 i = 0; i < written.length; ++i) {
            if (vm.load(address(staking), written[i]) != 0) continue;
            bool again = false;
            for (uint256 j = 0; j < i; ++j) {
                again = again || written[j] == written[i];
            }
            if (!again) ++count;
        }
    }

    function register(uint256 key) internal {
        bytes memory signature = consent(key, OWNER, Role.Miner);
        vm.prank(OWNER);
        staking.register(Role.Miner, vm.addr(key), "", deadline(), signature);
    }

    function test_a_registration_makes_a_slot_only_for_the_first_of_eight_leaves() public {
        token.approve(address(staking), type(uint256).max);
        registerMiner();
        staking.fundRewards(1_000_000 ether);
        for (uint256 i = 1; i < 18; ++i) {
            uint256 key = 0x5000 + i;
            vm.prank(OWNER);
            staking.stake(vm.addr(key), MINER_STAKE);
            watch();
            register(key);
            vm.assertEq(made(), i % 8 == 0 ? 1 : 0, "slots made");
            register(key);
            vm.warp(vm.getBlockTimestamp() + 60);
        }
    }

    function test_the_very_first_registration_makes_no_more_than_others() public {
        stakeAs(OWNER, MINER_STAKE);
        watch();
        register(NODE_KEY);
        vm.assertEq(made(), 1, "the word of its leaf");
    }

    /// @dev Its node, its income, two of its history; its pool and the owner's holding, which are the stake.
    function test_the_first_stake_for_a_key_makes_its_slots_and_no_other_does() public {
        watch();
        stakeAs(OWNER, MINER_STAKE);
        vm.assertEq(made(), 6, "the first");
        stakeAs(OWNER, MINER_STAKE);
        watch();
        stakeAs(OWNER, 1 ether);
        vm.assertEq(made(), 0, "the owner's next");
        watch();
        stakeAs(ANN, 1 ether);
        vm.assertEq(made(), 1, "another's: its holding");
    }

    function test_a_first_vote_makes_the_voters_slot_alone_whatever_the_epoch() public {
        registerMiner();
        for (uint256 epoch = 11; epoch < 25; ++epoch) {
            vm.roll(epoch * EPOCH_BLOCKS);
            watch();
            voteAs(ANN, 1 ether);
            vm.assertEq(made(), 1, "the holding");
            voteAs(BEN, 1 ether);
        }
    }

    function test_no_slash_makes_a_slot() public {
        registerMiner();
        vm.roll(vm.getBlockNumber() + EPOCH_BLOCKS);
        watch();
        staking.slash(node, 10_000, 1_000, JAIL_FOREVER);
        vm.assertEq(made(), 0, "disputes' first");
        watch();
        vm.prank(ESCROW);
        staking.slash(node, 100, 1_000, 0);
        vm.assertEq(made(), 0, "escrow's");
        watch();
        vm.prank(address(slashing));
        staking.slash(node, 10_000, 0, JAIL_FOREVER);
        vm.assertEq(made(), 0, "slashing's");
    }

    function test_fees_make_no_slot_once_a_commission_was_announced() public {
        registerMiner();
        vm.startPrank(OWNER);
        staking.announceCommission(node, 1_000);
        vm.warp(vm.getBlockTimestamp() + 7 days);
        staking.announceCommission(node, 1_000);
        vm.stopPrank();
        vm.prank(ESCROW);
        staking.addFees(node, 1 ether);
        vm.warp(vm.getBlockTimestamp() + 7 days);
        vm.prank(OWNER);
        staking.claim(node);
        watch();
        vm.prank(ESCROW);
        staking.addFees(node, 1 ether);
        vm.assertEq(made(), 0, "what is owed to the owner");
    }

    /// @dev The only node of a word of leaves goes and comes back.
    function test_a_leaf_that_weighs_nothing_keeps_its_word() public {
        registerMiner();
        staking.slash(node, 100, 0, 1 hours);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        stakeAs(OWNER, 1_000 ether);
        watch();
        vm.prank(OWNER);
        staking.unjail(node);
        vm.assertEq(made(), 0, "back in the tree");
    }
}

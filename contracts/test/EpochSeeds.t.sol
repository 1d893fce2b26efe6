// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {IEpochs} from "../src/interfaces/IEpochs.sol";
import {IEpochSeeds} from "../src/interfaces/IEpochSeeds.sol";
import {IStaking, StakingParameters} from "../src/interfaces/IStaking.sol";

/// @notice When a seed can be recorded, which one it is, and that nobody has a choice about it.
/// @dev The fixture deploys at block 1000 with epochs of 100 blocks, so epoch 11 (block 1100) is the first.
contract EpochSeedsTest is Fixture {
    function genesis() internal view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(seeds)));
    }

    function recordAt(uint256 blockNumber, uint256 epoch) internal returns (bytes32) {
        vm.roll(blockNumber);
        return seeds.recordSeed(epoch);
    }

    function test_a_seed_is_the_hash_of_a_later_block_chained_to_the_seed_before() public {
        vm.roll(1111);
        vm.setBlockhash(1110, keccak256("block 1110"));
        bytes32 expected = keccak256(abi.encode(genesis(), keccak256("block 1110"), uint256(11)));
        vm.expectEmit(address(seeds));
        emit IEpochSeeds.SeedRecorded(11, expected, 1100);
        vm.assertEq(seeds.recordSeed(11), expected, "the first");
        vm.assertEq(seeds.latestSeededEpoch(), 11, "latest");

        vm.roll(1300);
        vm.setBlockhash(1210, keccak256("block 1210"));
        expected = keccak256(abi.encode(expected, keccak256("block 1210"), uint256(12)));
        vm.assertEq(seeds.recordSeed(12), expected, "the second");
        vm.assertEq(seeds.epochSeed(12), expected, "readable");
    }

    function test_recording_twice_is_harmless() public {
        bytes32 seed = recordAt(1111, 11);
        vm.assertEq(recordAt(1150, 11), seed, "soon after");
        vm.assertEq(recordAt(9999, 11), seed, "long after the hash is gone");
    }

    function test_a_seed_is_not_ready_in_its_own_block() public {
        vm.roll(1110);
        vm.expectRevert(abi.encodeWithSelector(IEpochSeeds.SeedNotReady.selector, 11, 1110));
        seeds.recordSeed(11);
        recordAt(1111, 11);
    }

    function test_the_future_is_not_ready() public {
        recordAt(1111, 11);
        vm.expectRevert(abi.encodeWithSelector(IEpochSeeds.SeedNotReady.selector, 12, 1210));
        seeds.recordSeed(12);
        vm.expectRevert(abi.encodeWithSelector(IEpochSeeds.SeedNotReady.selector, 40, 4010));
        seeds.recordSeed(40);
    }

    function test_the_window_is_256_blocks() public {
        vm.assertTrue(recordAt(1110 + 256, 11) != 0, "in the last block of the window");
    }

    function test_in_a_chains_first_blocks_no_epoch_is_missed() public {
        vm.roll(200);
        vm.assertEq(seeds.nextRecordableEpoch(), 11, "the first after the deployment");
    }

    function test_a_missed_epoch_never_gets_a_seed() public {
        vm.roll(1110 + 257);
        vm.expectRevert(abi.encodeWithSelector(IEpochSeeds.SeedMissed.selector, 11));
        seeds.recordSeed(11);
        vm.assertEq(seeds.nextRecordableEpoch(), 12, "the next one still can");
        recordAt(1110 + 257, 12);
        vm.assertEq(seeds.epochSeed(11), 0, "none");
    }

    /// @dev Otherwise whoever records chooses whether epoch 12 is chained to 11 or to the one before.
    function test_an_earlier_epoch_cannot_be_skipped_while_it_can_be_recorded() public {
        vm.roll(1250);
        vm.expectRevert(abi.encodeWithSelector(IEpochSeeds.EarlierSeedPending.selector, 11));
        seeds.recordSeed(12);
        seeds.recordSeed(11);
        seeds.recordSeed(12);
    }

    function test_epochs_up_to_the_deployment_have_no_seed() public {
        vm.roll(1011);
        vm.expectRevert(abi.encodeWithSelector(IEpochSeeds.SeedMissed.selector, 10));
        seeds.recordSeed(10);
    }

    function test_epoch_arithmetic() public {
        vm.roll(1199);
        vm.assertEq(seeds.currentEpoch(), 11, "current");
        vm.assertEq(staking.currentEpoch(), 11, "staking counts the same");
        vm.assertEq(seeds.clock(), 1199, "clock");
        vm.assertEq(seeds.snapshotBlock(12), 1200, "snapshot");
        vm.assertEq(seeds.seedBlock(12), 1210, "seed");
    }

    /// @dev Whenever it is asked, at most one epoch can be recorded, and it gets the hash of its seed block.
    function test_there_is_never_a_choice(uint256 blockNumber, uint256 epoch) public {
        blockNumber = bound(blockNumber, 1001, 1_000_000);
        epoch = bound(epoch, 0, 12_000);
        vm.roll(blockNumber);
        uint256 next = seeds.nextRecordableEpoch();
        (bool recorded,) = address(seeds).call(abi.encodeCall(IEpochSeeds.recordSeed, (epoch)));
        uint256 seedBlock = next * EPOCH_BLOCKS + SEED_DELAY_BLOCKS;
        bool expected = epoch == next && blockNumber > seedBlock && blockNumber <= seedBlock + 256;
        vm.assertTrue(recorded == expected, "only the earliest, only in its window");
    }

    function test_parameters_are_in_bounds() public {
        refused(3, 1);
        refused(1_000_001, 1);
        refused(100, 0);
        refused(100, 100);
        IStaking shortest = deployWith(4, 3);
        IEpochSeeds its = IEpochSeeds(create("EpochSeeds", abi.encode(address(shortest))));
        vm.assertEq(its.STAKING(), address(shortest), "whose");
        vm.assertEq(its.EPOCH_BLOCKS(), 4, "its epochs");
        vm.assertEq(its.SEED_DELAY_BLOCKS(), 3, "its delay");
        vm.assertEq(deployWith(1_000_000, 1).EPOCH_BLOCKS(), 1_000_000, "the longest");
    }

    function refused(uint256 epochBlocks, uint256 delay) internal {
        StakingParameters memory changed = parameters(address(slashing));
        changed.epochBlocks = epochBlocks;
        changed.seedDelayBlocks = delay;
        bytes4 selector = IEpochs.EpochParametersOutOfBounds.selector;
        vm.expectRevert(abi.encodeWithSelector(selector, epochBlocks, delay));
        IStaking(create("Staking", abi.encode(changed)));
    }

    function deployWith(uint256 epochBlocks, uint256 delay) internal returns (IStaking) {
        StakingParameters memory changed = parameters(address(slashing));
        changed.epochBlocks = epochBlocks;
        changed.seedDelayBlocks = delay;
        return IStaking(create("Staking", abi.encode(changed)));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Plan, TraceFixture} from "./TraceFixture.sol";
import {CanonicalCbor} from "../src/libraries/CanonicalCbor.sol";
import {CommittedTrace} from "../src/libraries/CommittedTrace.sol";
import {Faults} from "../src/libraries/Faults.sol";
import {LatentRules} from "../src/libraries/LatentRules.sol";

/// @notice A first latent that is not the seed's, with and without a source image.
contract SlashingStartTest is TraceFixture {
    /// @dev Leaf and siblings.
    uint256 internal constant PROOF_BYTES = 64 + 12 * 32;
    uint256 internal constant PLACES = 16;

    string internal fixture;

    function setUp() public override {
        super.setUp();
        registerMiner();
        fixture = vm.readFile("test/fixtures/quantiles.json");
    }

    /// @dev A task whose seed and number the fixture has a proof for.
    function place(uint256 index)
        internal
        view
        returns (Plan memory p, uint256 quantile, bytes memory proof)
    {
        p = plan();
        bytes memory found = vm.parseJsonBytes(fixture, ".seeds");
        p.seed = uint64(bytes8(slice(found, 8 * index, 8 * index + 8)));
        found = vm.parseJsonBytes(fixture, ".numbers");
        p.number = uint64(bytes8(slice(found, 8 * index, 8 * index + 8)));
        found = vm.parseJsonBytes(fixture, ".quantiles");
        quantile = uint32(bytes4(slice(found, 4 * index, 4 * index + 4)));
        found = vm.parseJsonBytes(fixture, ".proofs");
        proof = slice(found, PROOF_BYTES * index, PROOF_BYTES * (index + 1));
    }

    function requireRefused(bytes memory proof, bytes4 selector) internal {
        vm.expectPartialRevert(selector);
        slashing.judgeFault(proof);
    }

    function requireProved(bytes memory proof) internal view {
        (uint8 fault, address signer, bytes32 slot) = slashing.judgeFault(proof);
        vm.assertEq(uint256(fault), 6, "a false start");
        vm.assertEq(signer, node, "of the miner");
        vm.assertEq(slot, digestOfAnnouncement(shown.announcement), "in this task");
    }

    function test_a_number_is_false_unless_it_is_the_seeds() public {
        for (uint256 i = 0; i < PLACES; ++i) {
            (Plan memory p, uint256 quantile, bytes memory quantiles) = place(i);
            p.off = 0;
            showStart(p, quantile);
            requireRefused(falseStart(p, quantiles), Faults.NumberIsRight.selector);
            p.off = 1;
            showStart(p, quantile);
            requireProved(falseStart(p, quantiles));
        }
    }

    function test_from_an_image_it_is_the_seeds_and_the_sources() public {
        for (uint256 i = 0; i < PLACES; ++i) {
            (Plan memory p, uint256 quantile, bytes memory quantiles) = place(i);
            (p.kind, p.units, p.off) = (1, 20 - i, 0);
            showStart(p, quantile);
            requireRefused(falseStart(p, quantiles), Faults.NumberIsRight.selector);
            p.off = 1;
            showStart(p, quantile);
            requireProved(falseStart(p, quantiles));
        }
    }

    function test_the_stake_is_taken() public {
        (Plan memory p, uint256 quantile, bytes memory quantiles) = place(0);
        showStart(p, quantile);
        slashing.proveFault(falseStart(p, quantiles));
        vm.assertEq(staking.nodeInfo(node).totalStake, 0, "nothing is left");
    }

    function test_attack_another_seed_or_entry_than_the_tasks() public {
        (Plan memory p, uint256 quantile, bytes memory quantiles) = place(3);
        (,, bytes memory others) = place(4);
        p.off = 0;
        showStart(p, quantile);
        requireRefused(falseStart(p, others), LatentRules.NotTheQuantiles.selector);
        quantiles[0] ^= 0x01;
        requireRefused(falseStart(p, quantiles), LatentRules.NotTheQuantiles.selector);
        quantiles[0] ^= 0x01;
        p.seed ^= 1;
        showInput(p);
        requireRefused(falseStart(p, quantiles), CommittedTrace.NotTheInput.selector);
    }

    function test_attack_a_leaf_of_another_step() public {
        (Plan memory p, uint256 quantile, bytes memory quantiles) = place(5);
        showStart(p, quantile);
        shown.leaves[0][0] ^= 0x01;
        requireRefused(falseStart(p, quantiles), CommittedTrace.NotTheLeaf.selector);
    }

    function test_attack_an_image_task_without_its_source() public {
        (Plan memory p, uint256 quantile, bytes memory quantiles) = place(6);
        p.kind = 1;
        showStart(p, quantile);
        shown.pieces.pop();
        requireRefused(falseStart(p, quantiles), CanonicalCbor.CborOutOfBounds.selector);
    }

    function test_an_infinite_number_is_left_to_its_own_fault() public {
        (Plan memory p, uint256 quantile, bytes memory quantiles) = place(7);
        unchecked {
            p.off = 0x7c00 - startOf(p, quantile);
        }
        showStart(p, quantile);
        requireRefused(falseStart(p, quantiles), LatentRules.NotFinite.selector);
    }

    function test_attack_evidence_of_which_one_bit_is_altered() public {
        (Plan memory p, uint256 quantile, bytes memory quantiles) = place(9);
        (p.kind, p.units, p.schedule, p.stepsMax) = (1, 5, 5, 5);
        (p.channels, p.width, p.height) = (1, 64, 64);
        showStart(p, quantile);
        bytes memory proof = falseStart(p, quantiles);
        requireProved(proof);
        requireNoByteToSpare(proof);
    }
}

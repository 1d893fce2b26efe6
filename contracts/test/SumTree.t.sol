// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {SumTree} from "../src/libraries/SumTree.sol";

/// @notice The tree against a plain list of weights.
contract SumTreeTest is Base {
    using SumTree for SumTree.Tree;

    uint256 internal constant LANE = type(uint32).max >> 1;

    SumTree.Tree internal tree;
    mapping(uint256 leaf => uint256) internal weights;

    function setUp() public {
        tree.make();
    }

    /// @dev Every sum of a level above is that of 64 words below; the root is the sum of all.
    function test_each_inner_sum_is_that_of_its_children(uint256[40] memory steps, uint256 leaves) public {
        uint256 count = leaves % 32 == 0 ? bound(leaves, 4_050, 4_200) : bound(leaves, 1, 80);
        grow(steps, count);
        uint256 sum = 0;
        for (uint256 i = 0; i < count; ++i) {
            vm.assertEq(tree.weightOf(i), weights[i], "leaf");
            sum += weights[i];
        }
        vm.assertEq(tree.total(count), sum, "root");
        uint256 words = (count + 7) / 8;
        for (uint256 level = 1; level == 1 || words > 8; ++level) {
            for (uint256 i = 0; i < (words + 63) / 64; ++i) {
                uint256 below = 0;
                for (uint256 j = 64 * i; j < 64 * i + 64; ++j) {
                    below += SumTree.sumOf(tree.words[((level - 1) << 32) | j]);
                }
                uint256 lane = (tree.words[(level << 32) | (i / 8)] >> (i % 8 * 32)) & LANE;
                vm.assertEq(lane, below, "inner word");
            }
            words = ((words + 63) / 64 + 7) / 8;
        }
        if (sum != 0) aPointIsInItsLeaf(count, steps[0] % sum);
    }

    /// @dev Changes forty leaves or more while the tree grows.
    function grow(uint256[40] memory steps, uint256 count) internal {
        for (uint256 i = 0; i < count; ++i) {
            tree.grow(i);
            if (i % (count / 40 + 1) != 0) continue;
            uint256 step = steps[i % 40];
            change(i + 1, step % (i + 1), bound(step >> 32, 0, 20_000_000));
        }
    }

    function change(uint256 count, uint256 leaf, uint256 weight) internal {
        vm.assertTrue(tree.update(count, leaf, weights[leaf], weight), "fits");
        weights[leaf] = weight;
    }

    function aPointIsInItsLeaf(uint256 count, uint256 point) internal view {
        (uint256 leaf, uint256 weight) = tree.find(count, point);
        vm.assertEq(weight, weights[leaf], "found weight");
        uint256 before = 0;
        for (uint256 i = 0; i < leaf; ++i) {
            before += weights[i];
        }
        vm.assertTrue(point >= before && point < before + weight, "the point is in the leaf");
    }

    /// @dev At the bound no lane runs over into the next.
    function test_the_largest_weight_fits_anywhere(uint8 leaf) public {
        uint256 place = leaf % 70;
        vm.assertTrue(tree.update(70, place, 0, SumTree.MAX_TOTAL), "it fits");
        vm.assertEq(tree.total(70), SumTree.MAX_TOTAL, "root");
        uint256 other = (place + 1) % 70;
        vm.assertTrue(!tree.update(70, other, 0, 1), "no more than that does");
        vm.assertEq(tree.weightOf(other) + tree.total(70), SumTree.MAX_TOTAL, "and then nothing changes");
        vm.assertTrue(tree.update(70, place, SumTree.MAX_TOTAL, 0), "less always does");
        vm.assertEq(tree.total(70), 0, "empty");
    }

    /// @dev 4,096 leaves are two words deep, two millions three.
    function test_a_change_writes_a_word_a_level() public {
        change(4_096, 4_095, 5);
        tree.grow(4_096);
        vm.assertEq(tree.words[2 << 32] & LANE, 5, "what was there is below the first lane of the new root");
        change(4_097, 4_096, 7);
        vm.assertEq(tree.words[512] & LANE, 7, "a word of leaves");
        vm.assertEq(tree.words[(1 << 32) | 1] & LANE, 7, "a word of sums");
        vm.assertEq(tree.words[2 << 32] & LANE, 12, "the root");
        vm.assertEq(tree.total(1 << 21), 12, "it has room for two millions");
        vm.assertEq(tree.total((1 << 21) + 1), 0, "and not for one more");
    }

    /// @dev All weight in the last leaf: the root, and whatever is below the last of its lanes.
    function test_a_draw_reads_64_words_a_level_at_most() public {
        change(4_096, 4_095, 1);
        vm.record();
        (uint256 leaf,) = tree.find(4_096, 0);
        vm.assertEq(leaf, 4_095, "found");
        (bytes32[] memory read,) = vm.accesses(address(this));
        vm.assertEq(read.length, 1 + 64, "words read");
    }

    /// @dev Else a change after that would pay for a word again.
    function test_no_word_is_zero_again() public {
        change(9, 8, 3);
        change(9, 8, 0);
        vm.assertTrue(tree.words[1] != 0 && tree.words[1 << 32] != 0, "leaves and root");
        vm.assertEq(tree.total(9), 0, "but it weighs nothing");
    }
}

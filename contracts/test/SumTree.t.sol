// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {SumTree} from "../src/libraries/SumTree.sol";

/// @notice The tree against a plain list of weights.
contract SumTreeTest is Base {
    using SumTree for SumTree.Tree;

    SumTree.Tree internal tree;
    uint256[] internal weights;

    /// @dev Every sum of a level above is that of eight words below; the root is the sum of all.
    function test_each_inner_sum_is_that_of_its_children(uint256[40] memory steps, uint256 leaves) public {
        uint256 count = leaves % 8 == 0 ? bound(leaves, 500, 600) : bound(leaves, 1, 80);
        for (uint256 i = 0; i < count; ++i) {
            tree.grow(i);
            weights.push(0);
            uint256 step = steps[i % 40];
            change(i + 1, step % (i + 1), bound(step >> 32, 0, 20_000_000));
        }
        uint256 sum = 0;
        for (uint256 i = 0; i < count; ++i) {
            vm.assertEq(tree.weightOf(i), weights[i], "leaf");
            sum += weights[i];
        }
        vm.assertEq(tree.total(count), sum, "root");
        uint256 words = (count + 7) / 8;
        for (uint256 level = 1; words > 1; ++level) {
            for (uint256 i = 0; i < (words + 7) / 8; ++i) {
                uint256 below = 0;
                for (uint256 j = 8 * i; j < 8 * i + 8; ++j) {
                    below += SumTree.sumOf(tree.words[((level - 1) << 32) | j]);
                }
                uint256 lane = (tree.words[(level << 32) | (i / 8)] >> (i % 8 * 32)) & type(uint32).max;
                vm.assertEq(lane, below, "inner word");
            }
            words = ((words + 7) / 8 + 7) / 8;
        }
        if (sum == 0) return;
        uint256 point = steps[0] % sum;
        (uint256 leaf, uint256 weight) = tree.find(count, point);
        vm.assertEq(weight, weights[leaf], "found weight");
        uint256 before = 0;
        for (uint256 i = 0; i < leaf; ++i) {
            before += weights[i];
        }
        vm.assertTrue(point >= before && point < before + weight, "the point is in the leaf");
    }

    function change(uint256 count, uint256 leaf, uint256 weight) internal {
        vm.assertTrue(tree.update(count, leaf, weights[leaf], weight), "fits");
        weights[leaf] = weight;
    }

    /// @dev At the bound no lane runs over into the next.
    function test_the_largest_weight_fits_anywhere(uint8 leaf) public {
        uint256 place = leaf % 70;
        for (uint256 i = 0; i < 70; ++i) {
            tree.grow(i);
        }
        vm.assertTrue(tree.update(70, place, 0, SumTree.MAX_TOTAL), "it fits");
        vm.assertEq(tree.total(70), SumTree.MAX_TOTAL, "root");
        uint256 other = (place + 1) % 70;
        vm.assertTrue(!tree.update(70, other, 0, 1), "no more than that does");
        vm.assertEq(tree.weightOf(other) + tree.total(70), SumTree.MAX_TOTAL, "and then nothing changes");
        vm.assertTrue(tree.update(70, place, SumTree.MAX_TOTAL, 0), "less always does");
        vm.assertEq(tree.total(70), 0, "empty");
    }
}

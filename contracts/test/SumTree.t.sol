// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {SumTree} from "../src/libraries/SumTree.sol";

/// @notice The tree against a plain list of weights.
contract SumTreeTest is Base {
    using SumTree for SumTree.Tree;

    SumTree.Tree internal tree;
    uint256[] internal weights;

    /// @dev Every word of a level above is the sums of eight words below; the root is the sum of all.
    function test_each_inner_word_is_the_sums_of_its_children(uint256[40] memory steps, uint256 leaves)
        public
    {
        uint256 count = bound(leaves, 1, 80);
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
            for (uint256 i = 0; i < words; ++i) {
                uint256 lane = (tree.words[(level << 32) | (i / 8)] >> (i % 8 * 32)) & type(uint32).max;
                vm.assertEq(lane, SumTree.sumOf(tree.words[((level - 1) << 32) | i]), "inner word");
            }
            words = (words + 7) / 8;
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
        weights[leaf] = weight;
        tree.update(count, leaf, weight);
    }

    /// @dev At the bound no lane runs over into the next.
    function test_the_largest_weight_fits_anywhere(uint8 leaf) public {
        uint256 place = leaf % 70;
        for (uint256 i = 0; i < 70; ++i) {
            tree.grow(i);
        }
        tree.update(70, place, SumTree.MAX_TOTAL);
        vm.assertEq(tree.total(70), SumTree.MAX_TOTAL, "root");
        tree.update(70, place, 0);
        vm.assertEq(tree.total(70), 0, "empty");
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {SumTree} from "../../src/libraries/SumTree.sol";

/// @notice Trees of two levels with any weights in some of their leaves.
contract SumTreeSymbolic is Base {
    using SumTree for SumTree.Tree;

    SumTree.Tree internal tree;
    /// @dev No constant: halmos does not know a slot again whose hash the compiler has worked out.
    uint256 internal rootKey = 1 << 32;

    /// @dev Whatever the leaves were before: after an update the leaf is new, its neighbours are as before.
    function check_an_update_changes_one_leaf(uint256 word, uint32 weight, uint8 leaf) external {
        // Each in a path of its own, so that no key is symbolic.
        for (uint256 i = 0; i < 8; ++i) {
            if (leaf % 8 == i) changesOneLeaf(word, weight, i);
        }
    }

    function changesOneLeaf(uint256 word, uint256 weight, uint256 leaf) internal {
        uint256 sum = SumTree.sumOf(word);
        tree.words[0] = word;
        tree.words[rootKey] = sum;
        uint256 other = (leaf + 1) % 8;
        uint256 before = tree.weightOf(other);
        vm.assume(sum <= SumTree.MAX_TOTAL && sum - tree.weightOf(leaf) + weight <= SumTree.MAX_TOTAL);
        assert(tree.update(8, leaf, tree.weightOf(leaf), weight));
        assert(tree.weightOf(leaf) == weight);
        assert(tree.weightOf(other) == before);
    }

    /// @dev Leaves of two sums and their root, as if grown one by one.
    function check_the_root_is_the_sum_of_the_leaves(uint32 a, uint32 b, uint32 c, uint32 again) external {
        threeLeaves(a, b, c);
        assert(tree.total(513) == uint256(a) + b + c);
        vm.assume(uint256(again) + b + c <= SumTree.MAX_TOTAL);
        assert(tree.update(513, 0, a, again));
        assert(tree.total(513) == uint256(again) + b + c);
        uint256 root = tree.words[rootKey];
        assert(root & SumTree.MAX_TOTAL == uint256(again) + b);
        assert(root >> 32 & SumTree.MAX_TOTAL == c);
    }

    function threeLeaves(uint32 a, uint32 b, uint32 c) internal {
        vm.assume(uint256(a) + b + c <= SumTree.MAX_TOTAL);
        tree.update(8, 0, 0, a);
        tree.update(8, 7, 0, b);
        tree.grow(8);
        tree.update(513, 512, 0, c);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {SumTree} from "../../src/libraries/SumTree.sol";

/// @notice Trees of one and of two levels with any weights in some of their leaves.
contract SumTreeSymbolic is Base {
    using SumTree for SumTree.Tree;

    SumTree.Tree internal tree;

    /// @dev Whatever the leaves were before: after an update the leaf is new, its neighbours are as before.
    function check_an_update_changes_one_leaf(uint256 word, uint32 weight, uint8 leaf) external {
        leaf %= 8;
        tree.words[0] = word;
        uint256 other = (uint256(leaf) + 1) % 8;
        uint256 before = tree.weightOf(other);
        vm.assume(SumTree.sumOf(word) - tree.weightOf(leaf) + weight <= SumTree.MAX_TOTAL);
        assert(tree.update(8, leaf, tree.weightOf(leaf), weight));
        assert(tree.weightOf(leaf) == weight);
        assert(tree.weightOf(other) == before);
    }

    /// @dev Leaves of two sums and their root, as if grown one by one.
    function check_the_root_is_the_sum_of_the_leaves(uint32 a, uint32 b, uint32 c, uint32 again) external {
        threeLeaves(a, b, c);
        assert(tree.total(65) == uint256(a) + b + c);
        vm.assume(uint256(again) + b + c <= SumTree.MAX_TOTAL);
        assert(tree.update(65, 0, a, again));
        assert(tree.total(65) == uint256(again) + b + c);
        uint256 root = tree.words[1 << 32];
        assert(root & type(uint32).max == uint256(again) + b);
        assert(root >> 32 == c);
    }

    function threeLeaves(uint32 a, uint32 b, uint32 c) internal {
        vm.assume(uint256(a) + b + c <= SumTree.MAX_TOTAL);
        tree.update(8, 0, 0, a);
        tree.update(8, 7, 0, b);
        tree.grow(8);
        tree.update(65, 64, 0, c);
    }
}

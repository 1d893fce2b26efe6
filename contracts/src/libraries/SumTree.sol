// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Weights in a tree of sums, eight to a word: changing a weight touches one word a level, which is two
/// words for up to 4,096 leaves and three for two millions.
/// @notice A word of level 0 holds the weights of eight leaves; each of the eight sums in a word of a higher
/// level is that of 64 words below it. So a draw, which is rare, may read 64 words a level, and a change, which
/// is not, writes one for every 512 children instead of every eight. The tree grows by a root when its leaves no
/// longer fit; nothing moves then.
library SumTree {
    struct Tree {
        /// By level * 2^32 + position in the level.
        mapping(uint256 key => uint256) words;
    }

    /// @dev Of one weight, and of the sum of all. As no sum is larger, no lane of a word runs over.
    uint256 internal constant MAX_TOTAL = type(uint32).max >> 1;

    uint256 private constant LANES_LOG2 = 3;
    /// @dev Words below a lane.
    uint256 private constant WORDS_LOG2 = 6;
    /// @dev Lanes below a lane.
    uint256 private constant CHILDREN_LOG2 = LANES_LOG2 + WORDS_LOG2;
    /// @dev Leaves below a tree of two levels, the least that there are.
    uint256 private constant FIRST_ROOM = 1 << (LANES_LOG2 + CHILDREN_LOG2);
    uint256 private constant LANE_BITS = 32;
    uint256 private constant LANE_INDEX_MASK = 7;
    /// @dev The highest bit of a lane is not its weight's.
    uint256 private constant LANE_MASK = MAX_TOTAL;
    uint256 private constant EVEN_LANES = type(uint256).max / type(uint64).max * LANE_MASK;
    /// @dev Beside the lanes of a word: once written it is never zero, so writing it changes a value and makes
    /// none.
    uint256 private constant MADE = 1 << 255;

    /// @notice Pays for the root. Only while there is no leaf.
    function make(Tree storage tree) internal {
        tree.words[_key(1, 0)] = MADE;
    }

    /// @notice The weight of a leaf.
    function weightOf(Tree storage tree, uint256 leaf) internal view returns (uint256) {
        return (tree.words[leaf >> LANES_LOG2] >> _shift(leaf)) & LANE_MASK;
    }

    /// @notice The weight of all leaves: the sum of the root's lanes.
    /// @param leafCount How many leaves there are; at least 0.
    function total(Tree storage tree, uint256 leafCount) internal view returns (uint256) {
        return sumOf(tree.words[_key(_top(leafCount), 0)]);
    }

    /// @notice Makes room for leaf number `leafCount`, of weight 0.
    /// @param leafCount How many leaves there are before.
    function grow(Tree storage tree, uint256 leafCount) internal {
        uint256 top = _top(leafCount + 1);
        if (top == _top(leafCount)) return;
        tree.words[_key(top, 0)] = MADE | total(tree, leafCount);
    }

    /// @notice Changes the weight of a leaf.
    /// @param before What it weighs.
    /// @param weight What it shall weigh, below 2^255.
    /// @return fits Whether the sum of all stays within its bound; if not, nothing changes.
    function update(Tree storage tree, uint256 leafCount, uint256 leaf, uint256 before, uint256 weight)
        internal
        returns (bool fits)
    {
        uint256 top = _top(leafCount);
        uint256 root = tree.words[_key(top, 0)];
        unchecked {
            if (sumOf(root) - before + weight > MAX_TOTAL) return false;
            // Modulo 2^256; each word is right in the end, since what is taken off is in the lane.
            uint256 change = weight - before;
            uint256 position = leaf;
            for (uint256 level = 0; level < top; ++level) {
                uint256 key = _key(level, position >> LANES_LOG2);
                tree.words[key] = MADE | (tree.words[key] + (change << _shift(position)));
                position >>= CHILDREN_LOG2;
            }
            tree.words[_key(top, 0)] = root + (change << _shift(position));
        }
        return true;
    }

    /// @notice The leaf in which the `point`-th unit of weight lies.
    /// @param point Less than the total.
    function find(Tree storage tree, uint256 leafCount, uint256 point)
        internal
        view
        returns (uint256 leaf, uint256 weight)
    {
        for (uint256 level = _top(leafCount) + 1; level != 0; --level) {
            uint256 position = leaf << WORDS_LOG2;
            uint256 word = tree.words[_key(level - 1, position)];
            for (uint256 sum = sumOf(word); point >= sum; sum = sumOf(word)) {
                point -= sum;
                ++position;
                word = tree.words[_key(level - 1, position)];
            }
            leaf = position << LANES_LOG2;
            weight = word & LANE_MASK;
            while (point >= weight) {
                point -= weight;
                word >>= LANE_BITS;
                weight = word & LANE_MASK;
                ++leaf;
            }
        }
    }

    /// @notice The sum of a word's lanes: halves are added to each other until one lane is left.
    /// @dev Sums of two lanes need a bit more than a lane, so the first step makes them twice as wide.
    function sumOf(uint256 word) internal pure returns (uint256 sum) {
        unchecked {
            sum = (word & EVEN_LANES) + ((word >> LANE_BITS) & EVEN_LANES);
            sum += sum >> 128;
            sum = (sum & type(uint64).max) + ((sum >> 64) & type(uint64).max);
        }
    }

    /// @dev The level of the root.
    function _top(uint256 leafCount) private pure returns (uint256 level) {
        unchecked {
            level = 1;
            for (uint256 room = FIRST_ROOM; room < leafCount; room <<= CHILDREN_LOG2) {
                ++level;
            }
        }
    }

    function _key(uint256 level, uint256 position) private pure returns (uint256) {
        return (level << LANE_BITS) | position;
    }

    function _shift(uint256 position) private pure returns (uint256) {
        unchecked {
            return (position & LANE_INDEX_MASK) * LANE_BITS;
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What a node weighed when past epochs began, three entries to a word.
/// @notice An entry is written at the first change of an epoch and says what the weight was before, so nothing
/// is written for the newest weight, which is known from the stake. Epochs of the entries only rise.
library WeightHistory {
    struct History {
        mapping(uint256 position => uint256) words;
    }

    uint256 internal constant MAX_WEIGHT = (1 << WEIGHT_BITS) - 1;

    uint256 private constant WEIGHT_BITS = 53;
    uint256 private constant ENTRY_BITS = 85;
    uint256 private constant ENTRIES_IN_A_WORD = 3;
    uint256 private constant EPOCH_MASK = type(uint32).max;

    /// @notice Adds entry number `count`.
    /// @param count How many entries there are before.
    /// @param epoch Later than that of every entry before, below 2^32.
    /// @param weight When that epoch began, at most `MAX_WEIGHT`.
    function push(History storage history, uint256 count, uint256 epoch, uint256 weight) internal {
        uint256 entry = (epoch << WEIGHT_BITS) | weight;
        history.words[count / ENTRIES_IN_A_WORD] |= entry << (count % ENTRIES_IN_A_WORD * ENTRY_BITS);
    }

    /// @notice The weight in the first entry of that epoch or a later one, which must exist.
    function lookup(History storage history, uint256 count, uint256 epoch) internal view returns (uint256) {
        uint256 low = 0;
        uint256 high = count - 1;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if ((_entry(history, middle) >> WEIGHT_BITS) & EPOCH_MASK < epoch) low = middle + 1;
            else high = middle;
        }
        return _entry(history, low) & MAX_WEIGHT;
    }

    function _entry(History storage history, uint256 index) private view returns (uint256) {
        return history.words[index / ENTRIES_IN_A_WORD] >> (index % ENTRIES_IN_A_WORD * ENTRY_BITS);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What a node weighed when the last epochs began in which its weight changed: a ring of six entries,
/// three to a word.
/// @notice An entry is written at the first change of an epoch and says what the weight was before, so nothing
/// is written for the newest weight, which is known from the stake. Epochs of the entries only rise. The words
/// are made in advance, so that no change of a weight pays for a new one.
library WeightHistory {
    struct History {
        uint256[2] words;
    }

    /// @dev How many entries there are.
    uint256 internal constant ENTRIES = 6;
    uint256 internal constant MAX_WEIGHT = (1 << WEIGHT_BITS) - 1;

    uint256 private constant WEIGHT_BITS = 53;
    uint256 private constant ENTRY_BITS = 85;
    uint256 private constant ENTRY_MASK = (1 << ENTRY_BITS) - 1;
    uint256 private constant ENTRIES_IN_A_WORD = 3;
    /// @dev Beside the entries of a word: it is not zero, so writing it changes a value and makes none.
    uint256 private constant MADE = 1 << 255;

    /// @notice Pays for both words. Only before the first `push`.
    function make(History storage history) internal {
        history.words[0] = MADE;
        history.words[1] = MADE;
    }

    /// @notice Adds entry number `count`, in place of the one before the last `ENTRIES`.
    /// @param count How many entries have been added before.
    /// @param epoch Later than that of every entry before, below 2^32.
    /// @param weight When that epoch began, at most `MAX_WEIGHT`.
    function push(History storage history, uint256 count, uint256 epoch, uint256 weight) internal {
        (uint256 place, uint256 shift) = _placeOf(count);
        uint256 entry = (epoch << WEIGHT_BITS) | weight;
        history.words[place] = (history.words[place] & ~(ENTRY_MASK << shift)) | (entry << shift);
    }

    /// @notice The weight in the first entry of that epoch or a later one, which must exist.
    /// @return known Whether that entry is still there.
    function lookup(History storage history, uint256 count, uint256 epoch)
        internal
        view
        returns (bool known, uint256 weight)
    {
        uint256 oldest = count > ENTRIES ? count - ENTRIES : 0;
        uint256 found = count - 1;
        while (found != oldest && _entry(history, found - 1) >> WEIGHT_BITS >= epoch) --found;
        uint256 entry = _entry(history, found);
        // The oldest one may follow others that are gone; then it is right for its own epoch alone.
        known = found != oldest || oldest == 0 || entry >> WEIGHT_BITS == epoch;
        weight = entry & MAX_WEIGHT;
    }

    function _entry(History storage history, uint256 count) private view returns (uint256) {
        (uint256 place, uint256 shift) = _placeOf(count);
        return (history.words[place] >> shift) & ENTRY_MASK;
    }

    /// @dev Word and bit at which entry number `count` begins.
    function _placeOf(uint256 count) private pure returns (uint256 place, uint256 shift) {
        unchecked {
            uint256 index = count % ENTRIES;
            return (index / ENTRIES_IN_A_WORD, index % ENTRIES_IN_A_WORD * ENTRY_BITS);
        }
    }
}

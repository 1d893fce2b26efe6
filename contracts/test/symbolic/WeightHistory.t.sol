// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {WeightHistory} from "../../src/libraries/WeightHistory.sol";

/// @notice Eight entries, which fill the ring and begin it anew, of any epochs that rise and any weights.
contract WeightHistorySymbolic is Base {
    using WeightHistory for WeightHistory.History;

    WeightHistory.History internal history;

    function fill(uint32[8] calldata epochs, uint56[8] calldata weights, uint256 count) internal {
        history.make();
        for (uint256 i = 0; i < count; ++i) {
            vm.assume(weights[i] <= WeightHistory.MAX_WEIGHT);
            vm.assume(i == 0 || epochs[i - 1] < epochs[i]);
            history.push(i, epochs[i], weights[i]);
        }
    }

    /// @dev As long as nothing has been written over, every epoch is known.
    function check_an_epoch_finds_the_first_entry_from_it_on(
        uint32[8] calldata epochs,
        uint56[8] calldata weights,
        uint32 asked
    ) external {
        fill(epochs, weights, 6);
        vm.assume(asked <= epochs[5]);
        uint256 first = 5;
        while (first != 0 && asked <= epochs[first - 1]) --first;
        (bool known, uint256 weight) = history.lookup(6, asked);
        assert(known && weight == weights[first]);
    }

    /// @dev Two are gone: the oldest that is left is right for its own epoch, and older ones are not known.
    function check_what_is_gone_is_not_made_up(
        uint32[8] calldata epochs,
        uint56[8] calldata weights,
        uint32 asked
    ) external {
        fill(epochs, weights, 8);
        vm.assume(asked <= epochs[7]);
        uint256 first = 7;
        while (first != 0 && asked <= epochs[first - 1]) --first;
        (bool known, uint256 weight) = history.lookup(8, asked);
        assert(known == (asked >= epochs[2]));
        assert(!known || weight == weights[first]);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {WeightHistory} from "../../src/libraries/WeightHistory.sol";

/// @notice Four entries, which fill a word and begin another, of any epochs that rise and any weights.
contract WeightHistorySymbolic is Base {
    using WeightHistory for WeightHistory.History;

    WeightHistory.History internal history;

    function check_an_epoch_finds_the_first_entry_from_it_on(
        uint32[4] calldata epochs,
        uint56[4] calldata weights,
        uint32 asked
    ) external {
        for (uint256 i = 0; i < 4; ++i) {
            vm.assume(weights[i] <= WeightHistory.MAX_WEIGHT);
            vm.assume(i == 0 || epochs[i - 1] < epochs[i]);
            history.push(i, epochs[i], weights[i]);
        }
        vm.assume(asked <= epochs[3]);
        uint256 first = 3;
        if (asked <= epochs[2]) first = 2;
        if (asked <= epochs[1]) first = 1;
        if (asked <= epochs[0]) first = 0;
        assert(history.lookup(4, asked) == weights[first]);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {SharePool} from "../../src/libraries/SharePool.sol";

/// @notice Rounding of a pool of shares, for all amounts of a domain at once.
/// @dev What is divided by is fixed and a power of two, virtual stake or shares included: with any other divisor
/// nothing is decided in time. The other side of the price is odd, so that there is something to round.
contract SharePoolSymbolic is Base {
    uint256 internal constant POWER = 2 ** 40;

    /// @dev Price after >= price before; a thousand shares to a wei, as before any slash.
    function check_a_deposit_leaves_the_price_of_a_whole_pool(uint64 amount) external pure {
        deposit(POWER - 1, 1_000 * POWER - 7, amount);
    }

    function check_a_deposit_leaves_the_price_of_a_slashed_pool(uint64 amount) external pure {
        deposit(POWER - 1, 3_333 * POWER - 7, amount);
    }

    function check_a_deposit_leaves_the_price_of_an_empty_pool(uint64 amount) external pure {
        deposit(0, 0, amount);
    }

    function check_taking_out_leaves_the_price_of_a_whole_pool(uint64 shares) external pure {
        takeOut(POWER / 1_000 - 7, POWER - 1_000, shares);
    }

    function check_taking_out_leaves_the_price_of_a_slashed_pool(uint64 shares) external pure {
        takeOut(POWER / 3_333 - 7, POWER - 1_000, shares);
    }

    function check_taking_out_of_a_wiped_pool_takes_nothing(uint64 shares) external pure {
        vm.assume(shares <= POWER - 1_000);
        assert(SharePool.toStake(shares, 0, POWER - 1_000) == 0);
    }

    function check_a_round_trip_gains_nothing(uint64 amount) external pure {
        (uint256 stake, uint256 sum) = (POWER - 1, 1_024 * POWER - 1_000);
        assert(SharePool.toStake(SharePool.toShares(amount, stake, sum), stake, sum) <= amount);
    }

    function deposit(uint256 stake, uint256 sum, uint256 amount) internal pure {
        uint256 shares = SharePool.toShares(amount, stake, sum);
        notLess(stake + amount, sum + shares, stake, sum);
    }

    function takeOut(uint256 stake, uint256 sum, uint256 shares) internal pure {
        vm.assume(shares <= sum);
        uint256 amount = SharePool.toStake(shares, stake, sum);
        assert(amount <= stake);
        notLess(stake - amount, sum - shares, stake, sum);
    }

    /// @dev Prices with the virtual stake and shares, without dividing.
    function notLess(uint256 stake, uint256 shares, uint256 stakeBefore, uint256 sharesBefore) internal pure {
        assert((stake + 1) * (sharesBefore + 1e3) >= (stakeBefore + 1) * (shares + 1e3));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {RewardMath} from "../../src/libraries/RewardMath.sol";
import {RewardShare} from "../../src/libraries/RewardShare.sol";

/// @notice Bounds of what is earned and of what a report is worth.
contract RewardsSymbolic is Base {
    /// @dev Of a stake of 2^85 wei, 38 million CAI, of which the owner has any part.
    function check_a_reward_is_at_most_half_of_the_owners_part(uint96 own, uint16 most) external pure {
        vm.assume(own <= 2 ** 85 && most <= 5_000);
        uint256 share = RewardShare.atMost(own, 2 ** 85, most);
        // Half of the owner's part in basis points, but at least one, as 100 CAI are less than that.
        assert(share <= most);
        assert(share <= 1 || share * 2 ** 85 <= 5_000 * uint256(own));
    }

    function check_nothing_is_worth_nothing(uint96 own, uint16 most) external pure {
        assert(RewardShare.atMost(own, 0, most) == 0);
    }

    /// @dev Below the least number of shares everything is the owner's, and the sum stays.
    function check_few_shares_earn_nothing(uint96 amount, uint16 commission, uint72 shares, uint128 before)
        external
        pure
    {
        vm.assume(shares < RewardMath.MIN_REWARDED_SHARES);
        (uint256 sum, uint256 owners) = RewardMath.divide(amount, commission, shares, before);
        assert(sum == before && owners == amount);
    }

    /// @dev The owner gets its commission, rounded down; the sum never falls and never runs over.
    function check_income_is_divided_within_bounds(uint96 amount, uint16 commission, uint128 before)
        external
        pure
    {
        vm.assume(commission <= 5_000);
        (uint256 sum, uint256 owners) = RewardMath.divide(amount, commission, 2 ** 80, before);
        assert(sum >= before && sum <= type(uint128).max);
        assert(owners <= amount);
        assert(owners + (sum - before) == amount || (sum == before && owners == amount));
    }
}

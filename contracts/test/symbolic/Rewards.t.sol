// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {RewardMath} from "../../src/libraries/RewardMath.sol";
import {RewardShare} from "../../src/libraries/RewardShare.sol";

/// @notice Bounds of what is earned and of what a report is worth.
contract RewardsSymbolic is Base {
    /// @dev Of 38 million CAI, 2^85 wei, that were taken in all.
    function check_a_reward_is_at_most_half_of_the_owners_loss(uint96 own, uint16 most) external pure {
        vm.assume(own <= 2 ** 85 && most <= 5_000);
        uint256 reward = RewardShare.atMost(own, 2 ** 85, 10_000, most);
        assert(reward <= 2 ** 85 * uint256(most) / 10_000);
        assert(reward <= 100 ether || 2 * reward <= own);
    }

    function check_nothing_is_worth_nothing(uint96 own, uint16 most) external pure {
        assert(RewardShare.atMost(own, 0, 10_000, most) == 0);
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

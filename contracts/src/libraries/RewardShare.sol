// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title How much of a penalty may go to whoever reports it.
/// @notice A slash takes the voters' stake with the owner's. So a share of all of it can be worth more than
/// the owner's own loss, and an owner could report itself to take its voters' stake. Hence rewards are bounded
/// by half of what the owner itself loses; but for a little, since an owner whose stake is on its way out
/// must be worth a report as well.
library RewardShare {
    uint256 private constant BASIS_POINTS = 10_000;
    uint256 private constant OWN_LOSS_SHARE = 5_000;
    /// @dev Of a penalty that takes everything; of less, as much less.
    uint256 private constant LEAST_REWARD = 100 ether;

    /// @notice The share of a penalty that may be paid out.
    /// @param own The owner's stake, in wei of CAI, below 2^128, without what is unbonding.
    /// @param slashable The owner's, voters' and unbonding stake, in wei of CAI.
    /// @param most In basis points.
    /// @return In basis points, at most `most`, and at most half of what the owner's part is or what
    /// `LEAST_REWARD` is, rounded up.
    function atMost(uint256 own, uint256 slashable, uint256 most) internal pure returns (uint256) {
        if (slashable == 0) return 0;
        unchecked {
            uint256 least = Math.ceilDiv(LEAST_REWARD * BASIS_POINTS, slashable);
            return Math.min(most, Math.max(OWN_LOSS_SHARE * own / slashable, least));
        }
    }
}

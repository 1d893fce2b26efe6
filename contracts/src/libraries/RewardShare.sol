// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SharePool} from "./SharePool.sol";

/// @title How much of a penalty may go to whoever reports it.
/// @notice A slash takes the voters' stake with the owner's. So a share of all of it can be worth more than
/// the owner's own loss, and an owner could report itself to take its voters' stake. Hence rewards are bounded
/// by half of what the owner itself loses; but for a little, since an owner whose stake is on its way out
/// must be worth a report as well.
library RewardShare {
    /// @dev Of a penalty that takes everything; of less, as much less. Far less than any owner's own stake.
    uint256 private constant LEAST_REWARD = 100 ether;

    /// @notice What may be paid out of a penalty, in wei of CAI.
    /// @param own The owner's stake, in wei of CAI, below 2^128, without what is unbonding.
    /// @param taken Of owner, voters and unbonding stake, in wei of CAI, below 2^128.
    /// @param fraction Of everything, that was taken, in basis points.
    /// @param most The share of what was taken, in basis points.
    /// @return At most `most`, and at most half of what the owner loses, or `LEAST_REWARD` of a penalty that
    /// takes everything.
    function atMost(uint256 own, uint256 taken, uint256 fraction, uint256 most)
        internal
        pure
        returns (uint256)
    {
        uint256 bound = Math.max(own / 2, LEAST_REWARD);
        return Math.min(SharePool.part(taken, most), SharePool.part(bound, fraction));
    }
}

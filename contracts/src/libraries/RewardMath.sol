// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title How a stream becomes income of nodes, and income becomes what a share has earned.
/// @notice Both are sums that only grow: so much for each unit of weight, so much for each share. Who has w
/// units since the sum was s has earned w * (sum now - s). Each step rounds down.
library RewardMath {
    /// @dev Binary places of the sum for a unit of weight; see `StakingStorage` for the bounds.
    uint256 internal constant WEIGHT_SCALE = 8;
    /// @dev Binary places of the sum for a share.
    uint256 internal constant SHARE_SCALE = 80;
    /// @dev About one CAI. Fewer shares would let the sum for a share run over: then all is the owner's.
    uint256 internal constant MIN_REWARDED_SHARES = 1e21;

    uint256 private constant BASIS_POINTS = 10_000;

    /// @notice What a holder has earned since it was last paid.
    function earned(uint256 shares, uint256 perShare, uint256 paid) internal pure returns (uint256) {
        return shares * (perShare - paid) >> SHARE_SCALE;
    }

    /// @notice What a node has earned since it was last settled.
    function gross(uint256 weight, uint256 perWeight, uint256 paid) internal pure returns (uint256) {
        return weight * (perWeight - paid) >> WEIGHT_SCALE;
    }

    /// @notice Divides income of a node between its owner and its shares.
    /// @param amount In wei of CAI, below 2^97.
    /// @param commission In basis points, at most all of them.
    /// @param poolShares Of owner and voters.
    /// @param perShare The sum before, below 2^128.
    /// @return sum The sum after, below 2^128.
    /// @return owners The owner's part, in wei of CAI.
    function divide(uint256 amount, uint256 commission, uint256 poolShares, uint256 perShare)
        internal
        pure
        returns (uint256 sum, uint256 owners)
    {
        if (poolShares < MIN_REWARDED_SHARES) return (perShare, amount);
        // Within the bounds above nothing runs over or below zero.
        unchecked {
            owners = amount * commission / BASIS_POINTS;
            sum = perShare + ((amount - owners) << SHARE_SCALE) / poolShares;
        }
        if (sum > type(uint128).max) return (perShare, amount);
    }
}

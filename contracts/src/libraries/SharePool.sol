// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A pool of stake owned through shares, so that one slash takes from everybody pro rata at once.
/// @notice Both conversions round down, so what is lost to rounding stays in the pool, and the price of a
/// share never falls but by a slash. Stake is below 2^96 and shares are below 2^160 (see `StakingStorage`), so
/// no product runs over.
library SharePool {
    /// @dev Nobody's shares and nobody's wei. They keep the price of an almost empty pool from being driven
    /// up by rounding, which would round the next depositor's stake away (ERC-4626's inflation attack), and
    /// they give a pool a price when a slash has left nothing.
    uint256 internal constant VIRTUAL_SHARES = 1e3;
    uint256 internal constant VIRTUAL_STAKE = 1;
    uint256 internal constant BASIS_POINTS = 10_000;

    /// @notice What so many shares of a pool are worth, in wei.
    /// @param shares At most `poolShares`.
    /// @param poolStake In wei of CAI.
    /// @param poolShares `VIRTUAL_SHARES` per wei as long as nobody was slashed.
    function toStake(uint256 shares, uint256 poolStake, uint256 poolShares) internal pure returns (uint256) {
        return shares * (poolStake + VIRTUAL_STAKE) / (poolShares + VIRTUAL_SHARES);
    }

    /// @notice The shares that so much new stake is worth.
    /// @param amount In wei of CAI, below 2^95.
    /// @param poolStake Before it is added.
    /// @param poolShares Before they are added.
    function toShares(uint256 amount, uint256 poolStake, uint256 poolShares) internal pure returns (uint256) {
        return amount * (poolShares + VIRTUAL_SHARES) / (poolStake + VIRTUAL_STAKE);
    }

    /// @notice What a slash takes from a pool. Less than all of it leaves a wei of whatever was there.
    /// @param poolStake In wei of CAI, below 2^128.
    /// @param fraction In basis points, at most `BASIS_POINTS`.
    function part(uint256 poolStake, uint256 fraction) internal pure returns (uint256) {
        unchecked {
            return poolStake * fraction / BASIS_POINTS;
        }
    }
}

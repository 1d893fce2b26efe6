// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title A pool of stake owned through shares, so that one slash takes from everybody pro rata at once.
/// @notice Both conversions round down, so what is lost to rounding stays in the pool, and the price of a
/// share never falls but by a slash.
library SharePool {
    struct Pool {
        /// In wei of CAI.
        uint256 stake;
        /// `VIRTUAL_SHARES` per wei as long as nobody was slashed.
        uint256 shares;
    }

    /// @dev Nobody's shares and nobody's wei. They keep the price of an almost empty pool from being driven
    /// up by rounding, which would round the next depositor's stake away (ERC-4626's inflation attack).
    uint256 internal constant VIRTUAL_SHARES = 1e6;
    uint256 internal constant VIRTUAL_STAKE = 1;
    uint256 internal constant BASIS_POINTS = 10_000;

    /// @notice What so many shares are worth, in wei.
    function toStake(Pool storage pool, uint256 shares) internal view returns (uint256) {
        return Math.mulDiv(shares, pool.stake + VIRTUAL_STAKE, pool.shares + VIRTUAL_SHARES);
    }

    /// @notice Adds stake; returns the shares that it is worth.
    function deposit(Pool storage pool, uint256 amount) internal returns (uint256 shares) {
        shares = Math.mulDiv(amount, pool.shares + VIRTUAL_SHARES, pool.stake + VIRTUAL_STAKE);
        pool.stake += amount;
        pool.shares += shares;
    }

    /// @notice Takes shares back; returns the stake that they were worth.
    function redeem(Pool storage pool, uint256 shares) internal returns (uint256 amount) {
        amount = toStake(pool, shares);
        pool.stake -= amount;
        pool.shares -= shares;
    }

    /// @notice Takes a fraction of the stake of all shares; returns how much that was.
    /// @param fraction In basis points, at most `BASIS_POINTS`. Anything less leaves a wei, so shares can be
    /// priced again; all of it leaves nothing, and the pool must take no deposit any more.
    function slash(Pool storage pool, uint256 fraction) internal returns (uint256 taken) {
        taken = Math.mulDiv(pool.stake, fraction, BASIS_POINTS);
        pool.stake -= taken;
    }
}

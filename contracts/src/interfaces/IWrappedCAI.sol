// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICAI} from "./ICAI.sol";

/// @title CAI as a token on a chain whose own coin is CAI.
interface IWrappedCAI is ICAI {
    /// @notice Coins became tokens.
    event Wrapped(address indexed account, uint256 amount);
    /// @notice Tokens became coins again.
    event Unwrapped(address indexed account, uint256 amount);

    /// @notice The caller is a contract that takes no coins.
    error CoinsNotTaken(address account);

    /// @notice Turns the coins sent with the call into as many tokens of the caller's.
    function wrap() external payable;

    /// @notice Turns tokens of the caller's back into coins.
    /// @param amount In wei of CAI; at most the caller's balance.
    function unwrap(uint256 amount) external;

    /// @notice Coins that nobody can ever take out: those of burned tokens, and those forced in. In wei.
    function lockedCoins() external view returns (uint256);
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title What the other contracts need of the token of the market.
/// @notice The token also has permit (ERC-2612) and 18 decimals.
interface ICAI is IERC20 {
    /// @notice Destroys the caller's own tokens.
    /// @param value Amount in wei of CAI; at most the caller's balance.
    function burn(uint256 value) external;
}

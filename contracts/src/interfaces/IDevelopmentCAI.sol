// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The faucet of CAI on networks where it is worth nothing.
interface IDevelopmentCAI {
    /// @notice A faucet has given tokens.
    event FaucetUsed(address indexed account, uint256 amount);

    /// @notice A token with a faucet must not stand on this chain.
    error NotADevelopmentChain(uint256 chainId);
    /// @notice One call gives at most `limit`.
    error FaucetLimitExceeded(uint256 amount, uint256 limit);
    /// @notice The caller has to wait until this timestamp in seconds.
    error FaucetCoolingDown(uint256 readyAt);

    /// @notice Mints tokens to the caller.
    /// @param amount In wei of CAI; at most `FAUCET_LIMIT`.
    function faucet(uint256 amount) external;

    /// @notice When an account may use the faucet again, a timestamp in seconds; 0 if it never has.
    /// @param account Whose cool-down.
    function faucetReadyAt(address account) external view returns (uint256);

    /// @notice The most that one call gives, in wei of CAI.
    function FAUCET_LIMIT() external view returns (uint256);

    /// @notice Seconds between two calls by one account.
    function FAUCET_COOLDOWN() external view returns (uint256);
}

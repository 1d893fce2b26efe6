// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CAI} from "./CAI.sol";
import {IDevelopmentCAI} from "./interfaces/IDevelopmentCAI.sol";

/// @title CAI with a faucet, for development networks only.
/// @notice A separate contract instead of a flag: a production token has no code that mints.
contract DevelopmentCAI is CAI, IDevelopmentCAI {
    /// @inheritdoc IDevelopmentCAI
    /// @dev Enough to register one coordinator.
    uint256 public constant FAUCET_LIMIT = 3_000_000 ether;

    /// @inheritdoc IDevelopmentCAI
    uint256 public constant FAUCET_COOLDOWN = 1 hours;

    uint256 private constant ETHEREUM_CHAIN_ID = 1;
    uint256 private constant CUCKOO_CHAIN_ID = 1200;

    /// @inheritdoc IDevelopmentCAI
    mapping(address account => uint256 readyAt) public faucetReadyAt;

    /// @param holder Receives the initial supply.
    /// @param supply In wei of CAI.
    constructor(address holder, uint256 supply) CAI(holder, supply) {
        // Not a complete list of chains where money is real; a guard against one slip of a configuration.
        if (block.chainid == ETHEREUM_CHAIN_ID || block.chainid == CUCKOO_CHAIN_ID) {
            revert NotADevelopmentChain(block.chainid);
        }
    }

    /// @inheritdoc IDevelopmentCAI
    function faucet(uint256 amount) external {
        if (amount > FAUCET_LIMIT) revert FaucetLimitExceeded(amount, FAUCET_LIMIT);
        uint256 readyAt = faucetReadyAt[msg.sender];
        if (block.timestamp < readyAt) revert FaucetCoolingDown(readyAt);
        faucetReadyAt[msg.sender] = block.timestamp + FAUCET_COOLDOWN;
        _mint(msg.sender, amount);
        emit FaucetUsed(msg.sender, amount);
    }
}

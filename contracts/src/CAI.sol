// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ICAI} from "./interfaces/ICAI.sol";

/// @title CAI, the token of the market.
/// @notice Fixed supply: all of it exists from the start, nothing is minted for work, slashing burns.
contract CAI is ERC20, ERC20Burnable, ERC20Permit, ICAI {
    /// @param holder Receives the whole supply.
    /// @param supply In wei of CAI.
    constructor(address holder, uint256 supply) ERC20("Cuckoo AI", "CAI") ERC20Permit("Cuckoo AI") {
        _mint(holder, supply);
    }

    /// @inheritdoc ICAI
    function burn(uint256 value) public override(ERC20Burnable, ICAI) {
        ERC20Burnable.burn(value);
    }
}

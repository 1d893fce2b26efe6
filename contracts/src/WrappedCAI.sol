// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ICAI} from "./interfaces/ICAI.sol";
import {IWrappedCAI} from "./interfaces/IWrappedCAI.sol";

/// @title CAI as a token on a chain whose own coin is CAI.
/// @notice One token for each coin held here. The coins of burned tokens stay for good, which is how a slash
/// burns a coin that has no burning of its own.
contract WrappedCAI is ERC20, ERC20Burnable, ERC20Permit, IWrappedCAI {
    constructor() ERC20("Wrapped Cuckoo AI", "WCAI") ERC20Permit("Wrapped Cuckoo AI") {}

    /// @notice Whoever sends coins gets tokens: a wallet's plain transfer is no loss.
    receive() external payable {
        wrap();
    }

    /// @inheritdoc IWrappedCAI
    function unwrap(uint256 amount) external {
        _burn(msg.sender, amount);
        emit Unwrapped(msg.sender, amount);
        // The coins come last, so a caller that comes back finds its tokens gone.
        (bool taken,) = msg.sender.call{value: amount}("");
        if (!taken) revert CoinsNotTaken(msg.sender);
    }

    /// @inheritdoc IWrappedCAI
    function lockedCoins() external view returns (uint256) {
        return address(this).balance - totalSupply();
    }

    /// @inheritdoc IWrappedCAI
    function wrap() public payable {
        _mint(msg.sender, msg.value);
        emit Wrapped(msg.sender, msg.value);
    }

    /// @inheritdoc ICAI
    function burn(uint256 value) public override(ERC20Burnable, ICAI) {
        ERC20Burnable.burn(value);
    }
}

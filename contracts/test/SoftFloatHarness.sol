// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SoftFloat} from "../src/libraries/SoftFloat.sol";

/// @notice The arithmetic as a contract that answers many questions in a call.
contract SoftFloatHarness {
    /// @param operation fromHalf, toHalf, thousandths, multiply, add, subtract, from 0.
    /// @param cases Eight bytes each: two operands, of which the first three operations take the first.
    /// @return results Four bytes each.
    function compute(uint256 operation, bytes calldata cases) external pure returns (bytes memory results) {
        uint256 count = cases.length / 8;
        results = new bytes(4 * count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 a = uint32(bytes4(cases[8 * i:]));
            uint256 b = uint32(bytes4(cases[8 * i + 4:]));
            uint256 result = one(operation, a, b);
            for (uint256 j = 0; j < 4; ++j) {
                results[4 * i + j] = bytes1(uint8(result >> (24 - 8 * j)));
            }
        }
    }

    function one(uint256 operation, uint256 a, uint256 b) public pure returns (uint256) {
        if (operation == 0) return SoftFloat.fromHalf(a);
        if (operation == 1) return SoftFloat.toHalf(a);
        if (operation == 2) return SoftFloat.thousandths(a);
        if (operation == 3) return SoftFloat.multiply(a, b);
        if (operation == 4) return SoftFloat.add(a, b);
        return SoftFloat.subtract(a, b);
    }
}

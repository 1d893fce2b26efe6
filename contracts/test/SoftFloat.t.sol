// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {SoftFloatHarness} from "./SoftFloatHarness.sol";
import {SoftFloat} from "../src/libraries/SoftFloat.sol";

/// @notice The arithmetic against cases of numpy's, and the laws that hold without them.
contract SoftFloatTest is Base {
    uint256 internal constant INFINITY = 0x7f80_0000;
    uint256 internal constant NOT_A_NUMBER = 0x7fc0_0000;
    uint256 internal constant ONE = 0x3f80_0000;
    uint256 internal constant SIGN = 1 << 31;

    SoftFloatHarness internal harness = new SoftFloatHarness();

    /// @dev Written by `python -m tests.contracts.soft_floats`; a million of them are compared there.
    function test_each_operation_gives_what_numpy_gives() public view {
        string memory json = vm.readFile("test/fixtures/soft_float.json");
        string[6] memory names = ["fromHalf", "toHalf", "thousandths", "multiply", "add", "subtract"];
        for (uint256 i = 0; i < names.length; ++i) {
            bytes memory cases = vm.parseJsonBytes(json, string.concat(".", names[i], ".cases"));
            bytes memory wanted = vm.parseJsonBytes(json, string.concat(".", names[i], ".results"));
            bytes memory found = harness.compute(i, cases);
            vm.assertEq(wanted.length, cases.length / 2, "as many");
            vm.assertTrue(keccak256(found) == keccak256(wanted), names[i]);
        }
    }

    function test_a_half_comes_back_from_a_single(uint16 half) public pure {
        bool isNaN = half & 0x7fff > SoftFloat.HALF_INFINITY;
        vm.assertEq(SoftFloat.toHalf(SoftFloat.fromHalf(half)), isNaN ? 0x7e00 : half, "the same");
    }

    function test_sums_and_products_do_not_depend_on_the_order(uint32 a, uint32 b) public pure {
        vm.assertEq(SoftFloat.add(a, b), SoftFloat.add(b, a), "sum");
        vm.assertEq(SoftFloat.multiply(a, b), SoftFloat.multiply(b, a), "product");
    }

    function test_one_and_zero_change_nothing(uint32 a) public pure {
        uint256 number = uint256(a) & (SIGN - 1) > INFINITY ? NOT_A_NUMBER : uint256(a);
        vm.assertEq(SoftFloat.multiply(a, ONE), number, "one");
        vm.assertEq(SoftFloat.add(a, SIGN), number, "minus zero");
        vm.assertEq(SoftFloat.subtract(a, 0), number, "less zero");
        if (number & (SIGN - 1) < INFINITY) vm.assertEq(SoftFloat.subtract(a, a), 0, "less itself");
    }

    /// @dev Whole numbers of 24 bits are exact, and so are their sums.
    function test_whole_numbers_add_up(uint256 a, uint256 b) public pure {
        (a, b) = (1000 * bound(a, 0, 8_000), 1000 * bound(b, 0, 8_000));
        uint256 sum = SoftFloat.add(SoftFloat.thousandths(a), SoftFloat.thousandths(b));
        vm.assertEq(sum, SoftFloat.thousandths(a + b), "exact");
    }

    function test_minus_zero_is_zero() public pure {
        vm.assertTrue(SoftFloat.sameHalf(0x8000, 0), "halves");
        vm.assertTrue(SoftFloat.sameHalf(0, 0x8000), "either way");
        vm.assertTrue(SoftFloat.sameHalf(0xbc01, 0xbc01), "the same");
        vm.assertTrue(!SoftFloat.sameHalf(0x3c01, 0xbc01), "another sign");
        vm.assertTrue(!SoftFloat.sameHalf(0x0001, 0x8000), "the least is not zero");
        vm.assertTrue(SoftFloat.isZero(SIGN) && SoftFloat.isZero(0), "singles");
        vm.assertTrue(!SoftFloat.isZero(1) && !SoftFloat.isZero(SIGN | 1), "nor there");
    }

    function test_what_is_finite(uint16 half) public pure {
        uint256 exponent = (uint256(half) >> 10) & 31;
        vm.assertTrue(SoftFloat.isFiniteHalf(half) == (exponent != 31), "by its exponent");
    }

    function test_what_is_infinite() public pure {
        uint256 most = INFINITY - 1;
        vm.assertEq(SoftFloat.toHalf(INFINITY), SoftFloat.HALF_INFINITY, "a half");
        vm.assertEq(SoftFloat.toHalf(SIGN | INFINITY), 0x8000 | SoftFloat.HALF_INFINITY, "below zero");
        vm.assertEq(SoftFloat.multiply(INFINITY, 1), INFINITY, "times the least");
        vm.assertEq(SoftFloat.multiply(SIGN | 1, INFINITY), SIGN | INFINITY, "either way");
        vm.assertEq(SoftFloat.multiply(INFINITY, SIGN), NOT_A_NUMBER, "times zero");
        vm.assertEq(SoftFloat.add(INFINITY, SIGN | most), INFINITY, "less the most");
        vm.assertEq(SoftFloat.add(most, most), INFINITY, "twice the most");
        vm.assertEq(SoftFloat.subtract(INFINITY, INFINITY), NOT_A_NUMBER, "less itself");
    }
}

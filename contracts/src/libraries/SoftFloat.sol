// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Numbers of IEEE 754 binary16 and binary32, in integers.
/// @notice Each operation rounds once, to nearest, ties to even, as every processor does and numpy too; the
/// rules of steps name no other operation. Numbers are their bits, in the low 16 or 32 of a word; the bits above
/// must be zero. Every pattern is taken, subnormal, infinite and NaN as well; a NaN that comes out is
/// `NOT_A_NUMBER`.
library SoftFloat {
    /// @dev Of binary32, with no bit of sign.
    uint256 internal constant INFINITY = 0x7f80_0000;
    /// @dev The one NaN of binary32 that is ever given back.
    uint256 internal constant NOT_A_NUMBER = 0x7fc0_0000;
    /// @dev Of binary16.
    uint256 internal constant HALF_INFINITY = 0x7c00;

    uint256 private constant SIGN = 1 << 31;
    /// @dev Bits behind the binary point, and the exponent of the lowest bit of the least number.
    uint256 private constant FRACTION = 23;
    int256 private constant LEAST = -149;
    uint256 private constant HALF_SIGN = 1 << 15;
    uint256 private constant HALF_FRACTION = 10;
    int256 private constant HALF_LEAST = -24;
    uint256 private constant HALF_NOT_A_NUMBER = 0x7e00;
    /// @dev From one sign's place to the other's.
    uint256 private constant SIGN_SHIFT = 16;
    /// @dev Exponents of binary32 count from 112 lower than those of binary16.
    uint256 private constant BIAS_DIFFERENCE = 112 << FRACTION;
    /// @dev A number whose exponent is so much below another's is less than half of that one's last place.
    int256 private constant FAR = 26;
    /// @dev The length of 0 to 15 in bits, a byte each.
    uint256 private constant LENGTHS = 0x0001020203030303040404040404040400000000000000000000000000000000;
    uint256 private constant ONE_MILLI = 1000;
    /// @dev So many more places of a quotient than can be kept: what is beyond them is one bit.
    uint256 private constant QUOTIENT_PLACES = 32;

    /// @notice A binary16 as binary32; exact.
    function fromHalf(uint256 half) internal pure returns (uint256) {
        unchecked {
            uint256 sign = (half & HALF_SIGN) << SIGN_SHIFT;
            uint256 magnitude = half & (HALF_SIGN - 1);
            if (magnitude > HALF_INFINITY) return NOT_A_NUMBER;
            if (magnitude == HALF_INFINITY) return sign | INFINITY;
            // Subnormal here, and not there.
            if (magnitude >> HALF_FRACTION == 0) {
                return sign | _round(magnitude, HALF_LEAST, FRACTION, LEAST, INFINITY);
            }
            return sign | ((magnitude << FRACTION - HALF_FRACTION) + BIAS_DIFFERENCE);
        }
    }

    /// @notice The nearest binary16 to a binary32.
    function toHalf(uint256 single) internal pure returns (uint256) {
        unchecked {
            uint256 sign = (single & SIGN) >> SIGN_SHIFT;
            uint256 magnitude = single & (SIGN - 1);
            if (magnitude > INFINITY) return HALF_NOT_A_NUMBER;
            // An infinite one is opened as 2^128, which is infinite here too.
            (uint256 significand, int256 exponent) = _open(magnitude, FRACTION, LEAST);
            return sign | _round(significand, exponent, HALF_FRACTION, HALF_LEAST, HALF_INFINITY);
        }
    }

    /// @notice Thousandths as a number: the nearest binary32 to `milli`, divided by 1000.
    /// @param milli Below 2^32.
    function thousandths(uint256 milli) internal pure returns (uint256) {
        unchecked {
            uint256 single = _round(milli, 0, FRACTION, LEAST, INFINITY);
            (uint256 significand, int256 exponent) = _open(single, FRACTION, LEAST);
            significand <<= QUOTIENT_PLACES;
            uint256 quotient = significand / ONE_MILLI;
            // Whatever is left over makes a tie none.
            if (quotient * ONE_MILLI != significand) quotient |= 1;
            return _round(quotient, exponent - int256(QUOTIENT_PLACES), FRACTION, LEAST, INFINITY);
        }
    }

    /// @notice The product of two binary32.
    function multiply(uint256 a, uint256 b) internal pure returns (uint256) {
        unchecked {
            uint256 sign = (a ^ b) & SIGN;
            a &= SIGN - 1;
            b &= SIGN - 1;
            if (a >= INFINITY || b >= INFINITY) {
                bool isNumber = a <= INFINITY && b <= INFINITY && a != 0 && b != 0;
                return isNumber ? sign | INFINITY : NOT_A_NUMBER;
            }
            (uint256 significandA, int256 exponentA) = _open(a, FRACTION, LEAST);
            (uint256 significandB, int256 exponentB) = _open(b, FRACTION, LEAST);
            return
                sign | _round(significandA * significandB, exponentA + exponentB, FRACTION, LEAST, INFINITY);
        }
    }

    /// @notice The sum of two binary32.
    function add(uint256 a, uint256 b) internal pure returns (uint256) {
        unchecked {
            // The greater magnitude first.
            if (a & (SIGN - 1) < b & (SIGN - 1)) (a, b) = (b, a);
            if (a & (SIGN - 1) >= INFINITY) {
                bool isNumber = a & (SIGN - 1) == INFINITY && a ^ b != SIGN;
                return isNumber ? a : NOT_A_NUMBER;
            }
            (uint256 significandA, int256 exponentA) = _open(a & (SIGN - 1), FRACTION, LEAST);
            (uint256 significandB, int256 exponentB) = _open(b & (SIGN - 1), FRACTION, LEAST);
            if (exponentA - exponentB >= FAR) return a;
            significandA <<= uint256(exponentA - exponentB);
            if ((a ^ b) & SIGN == 0) {
                significandA += significandB;
            } else {
                significandA -= significandB;
                // What cancels out is +0.
                if (significandA == 0) return 0;
            }
            return (a & SIGN) | _round(significandA, exponentB, FRACTION, LEAST, INFINITY);
        }
    }

    /// @notice The difference of two binary32.
    function subtract(uint256 a, uint256 b) internal pure returns (uint256) {
        return add(a, b ^ SIGN);
    }

    /// @notice Whether a binary32 is -0 or +0.
    function isZero(uint256 single) internal pure returns (bool) {
        return single & (SIGN - 1) == 0;
    }

    /// @notice Whether two binary16 that are no NaN are the same number: -0 is +0.
    function sameHalf(uint256 a, uint256 b) internal pure returns (bool) {
        return a == b || (a | b) & (HALF_SIGN - 1) == 0;
    }

    /// @notice Whether a binary16 is neither infinite nor NaN.
    function isFiniteHalf(uint256 half) internal pure returns (bool) {
        return half & HALF_INFINITY != HALF_INFINITY;
    }

    /// @dev The number is significand * 2^exponent.
    /// @param magnitude Its bits without the sign, with `fraction` of them behind the binary point.
    /// @param least Exponent of the lowest bit of the least number of its format.
    function _open(uint256 magnitude, uint256 fraction, int256 least)
        private
        pure
        returns (uint256 significand, int256 exponent)
    {
        unchecked {
            uint256 biased = magnitude >> fraction;
            // Subnormal: no bit is implied.
            if (biased == 0) return (magnitude, least);
            significand = magnitude + ((1 - biased) << fraction);
            exponent = least + int256(biased) - 1;
        }
    }

    /// @dev The nearest number of a format to significand * 2^exponent, ties to even; its bits.
    /// @param significand Below 2^64.
    /// @param exponent Such that the number's highest bit is less than 2^128, or it is rounded to infinity, and
    /// more than 250 places above or below `least` are not asked for.
    function _round(uint256 significand, int256 exponent, uint256 fraction, int256 least, uint256 infinity)
        private
        pure
        returns (uint256 bits)
    {
        unchecked {
            if (significand == 0) return 0;
            // Of the last place that is kept.
            int256 last = exponent + int256(_bitLength(significand)) - 1 - int256(fraction);
            if (last < least) last = least;
            if (last <= exponent) {
                bits = significand << uint256(exponent - last);
            } else {
                uint256 dropped = uint256(last - exponent);
                // Just less than half a place, or half a place to an odd number.
                bits = (significand >> dropped) & 1;
                bits = (significand + (1 << (dropped - 1)) - 1 + bits) >> dropped;
            }
            // The implied bit, and one that rounding carries, count the exponent up.
            bits += uint256(last - least) << fraction;
            if (bits > infinity) bits = infinity;
        }
    }

    /// @dev How many bits a number has that is neither 0 nor 2^64 or more.
    function _bitLength(uint256 value) private pure returns (uint256 length) {
        assembly ("memory-safe") {
            length := shl(5, gt(value, 0xffffffff))
            length := or(length, shl(4, gt(shr(length, value), 0xffff)))
            length := or(length, shl(3, gt(shr(length, value), 0xff)))
            length := or(length, shl(2, gt(shr(length, value), 0xf)))
            // Of what is left, 1 to 15: its length.
            length := add(length, byte(shr(length, value), LENGTHS))
        }
    }
}

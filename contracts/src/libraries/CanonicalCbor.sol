// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Canonical CBOR (RFC 8949, the subset of the network's messages), read head by head where it lies.
/// @notice What the network's decoders refuse is refused here too: an integer or a length that is not in its
/// shortest form, another type, and a length that leads past the end. A reader takes the items that it knows, in
/// their order; it may stop before the end, where no decision hangs on the rest.
library CanonicalCbor {
    /// @notice Where a reader is in some bytes of the calldata.
    struct Cursor {
        /// Of the next byte, from the begin of the calldata.
        uint256 next;
        /// Behind the last byte.
        uint256 end;
    }

    /// @notice An item ends behind the bytes that it stands in.
    error CborTruncated();
    /// @notice An integer or a length could be written shorter, or is of no definite length.
    error CborNotCanonical();
    /// @notice An item is of major type `found`.
    error CborOfAnotherType(uint256 wanted, uint256 found);
    /// @notice An integer, or the length of a string or an array, is out of its bounds.
    error CborOutOfBounds(uint256 argument, uint256 least, uint256 most);
    /// @notice There are bytes after the last item.
    error CborNotAtEnd();

    uint256 private constant UNSIGNED = 0;
    uint256 private constant BYTES = 2;
    uint256 private constant ARRAY = 4;
    uint256 private constant WORD_HEAD = 0x5820;

    /// @notice A reader at the begin of some bytes.
    function open(bytes calldata data) internal pure returns (Cursor memory cursor) {
        uint256 start;
        assembly ("memory-safe") {
            start := data.offset
        }
        cursor.next = start;
        cursor.end = start + data.length;
    }

    /// @notice Nothing may follow.
    function close(Cursor memory cursor) internal pure {
        if (cursor.next != cursor.end) revert CborNotAtEnd();
    }

    /// @notice An unsigned integer of at most `most`.
    function unsigned(Cursor memory cursor, uint256 most) internal pure returns (uint256) {
        return _bounded(cursor, UNSIGNED, 0, most);
    }

    /// @notice The head of an array of so many items; they follow.
    function array(Cursor memory cursor, uint256 least, uint256 most) internal pure returns (uint256) {
        return _bounded(cursor, ARRAY, least, most);
    }

    /// @notice A byte string of `least` to `most` bytes.
    /// @param most Below 2^64.
    function byteString(Cursor memory cursor, uint256 least, uint256 most)
        internal
        pure
        returns (bytes calldata data)
    {
        uint256 length = _bounded(cursor, BYTES, least, most);
        uint256 start = cursor.next;
        _goTo(cursor, start, length);
        assembly ("memory-safe") {
            data.offset := start
            data.length := length
        }
    }

    /// @notice A byte string of 32 bytes.
    function word(Cursor memory cursor) internal pure returns (bytes32 found) {
        uint256 start = cursor.next;
        // Its head has one form.
        if (_load(start) >> 240 != WORD_HEAD) _bounded(cursor, BYTES, 32, 32);
        _goTo(cursor, start, 34);
        return bytes32(_load(start + 2));
    }

    /// @dev A head of one type whose argument is within bounds.
    function _bounded(Cursor memory cursor, uint256 major, uint256 least, uint256 most)
        private
        pure
        returns (uint256 argument)
    {
        uint256 start = cursor.next;
        uint256 found = _load(start);
        uint256 size = 1;
        argument = (found >> 248) ^ (major << 5);
        // From 24 on it stands behind the first byte; from 32 on the type is another one.
        if (argument > 23) {
            if (argument > 31) {
                _goTo(cursor, start, 1);
                revert CborOfAnotherType(major, found >> 253);
            }
            (argument, size) = _following(found, argument);
        }
        _goTo(cursor, start, size);
        if (argument < least || argument > most) revert CborOutOfBounds(argument, least, most);
    }

    /// @dev An argument of 1, 2, 4 or 8 bytes.
    /// @param found The head and what follows.
    /// @param length 24 to 31.
    /// @return argument It must need all of them.
    /// @return size Of the whole head.
    function _following(uint256 found, uint256 length) private pure returns (uint256 argument, uint256 size) {
        if (length > 27) revert CborNotCanonical();
        unchecked {
            size = 1 << (length - 24);
            argument = (found << 8) >> (256 - 8 * size);
            if (argument < (size == 1 ? 24 : 1 << (4 * size))) revert CborNotCanonical();
            ++size;
        }
    }

    /// @dev What stands there, with what follows; zeros behind the calldata.
    function _load(uint256 start) private pure returns (uint256 found) {
        assembly ("memory-safe") {
            found := calldataload(start)
        }
    }

    /// @dev Goes on behind so many bytes from `start`.
    /// @param size Below 2^65.
    function _goTo(Cursor memory cursor, uint256 start, uint256 size) private pure {
        unchecked {
            size += start;
            if (size > cursor.end) revert CborTruncated();
            cursor.next = size;
        }
    }
}

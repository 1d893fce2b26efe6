// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Merkle trees of RFC 6962 §2.1, by SHA-256.
/// @notice Leaves and nodes are hashed under different prefixes, so that no node passes for a leaf. A root does
/// not say how many leaves it has: the number has to be bound by something that was signed, or a proof would put
/// a leaf at another place.
/// @dev Hashes are made behind the memory that is in use, which they leave as it is.
library Sha256Tree {
    /// @notice The number names no leaf.
    error NoSuchLeaf(uint256 index, uint256 count);
    /// @notice A proof has more or fewer siblings than the shape of its tree asks for.
    error WrongProofLength(uint256 bytesFound);
    /// @notice The precompiled contract has failed, which takes a lack of gas.
    error Sha256Failed();

    /// @notice The root above a leaf.
    /// @param proved The leaf, and behind it its siblings from the leaf up.
    /// @param size Bytes of the leaf.
    /// @param index Of the leaf, from 0.
    /// @param count Of the tree's leaves, below 2^32.
    function rootOf(bytes calldata proved, uint256 size, uint256 index, uint256 count)
        internal
        view
        returns (bytes32 node)
    {
        if (index >= count) revert NoSuchLeaf(index, count);
        if (proved.length < size) revert WrongProofLength(proved.length);
        node = leafHash(proved[:size]);
        bool done = true;
        assembly ("memory-safe") {
            // The prefix of a node, and behind it left and right.
            let free := mload(0x40)
            mstore8(free, 1)
            for {} gt(count, 1) {} {
                // The odd last node of a level rises unchanged.
                if lt(xor(index, 1), count) {
                    // 0 for a left node, 32 for a right one.
                    let place := shl(5, and(index, 1))
                    mstore(add(free, add(1, place)), node)
                    mstore(add(free, sub(33, place)), calldataload(add(proved.offset, size)))
                    done := and(done, staticcall(gas(), 2, free, 65, 0, 32))
                    node := mload(0)
                    size := add(size, 32)
                }
                index := shr(1, index)
                count := shr(1, add(count, 1))
            }
        }
        if (!done) revert Sha256Failed();
        // What was read behind the end has come to nothing.
        if (size != proved.length) revert WrongProofLength(proved.length);
    }

    /// @notice The hash of a leaf.
    function leafHash(bytes calldata leaf) internal view returns (bytes32 result) {
        bool done;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore8(free, 0)
            calldatacopy(add(free, 1), leaf.offset, leaf.length)
            done := staticcall(gas(), 2, free, add(leaf.length, 1), 0, 32)
            result := mload(0)
        }
        // Else what was there before would stand for a hash.
        if (!done) revert Sha256Failed();
    }

    /// @notice The hash of 32 bits and a word.
    function hashOf(uint256 prefix, bytes32 word) internal view returns (bytes32 result) {
        bool done;
        assembly ("memory-safe") {
            mstore(0, shl(224, prefix))
            mstore(4, word)
            done := staticcall(gas(), 2, 0, 36, 0, 32)
            result := mload(0)
        }
        if (!done) revert Sha256Failed();
    }
}

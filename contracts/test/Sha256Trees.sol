// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Merkle trees of RFC 6962 as whoever has all leaves makes them.
library Sha256Trees {
    function leaf(bytes memory data) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0), data));
    }

    function above(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }

    /// @dev The root over leaves that are hashed already, and the siblings of one of them. Split where the RFC
    /// splits, which is another way than that of the contract.
    function prove(bytes32[] memory hashes, uint256 index)
        internal
        pure
        returns (bytes32 root, bytes memory siblings)
    {
        return _prove(hashes, 0, hashes.length, index);
    }

    function _prove(bytes32[] memory hashes, uint256 from, uint256 to, uint256 index)
        private
        pure
        returns (bytes32, bytes memory)
    {
        if (to - from == 1) return (hashes[from], "");
        uint256 half = 1;
        while (2 * half < to - from) half *= 2;
        half += from;
        if (index < half) {
            (bytes32 node, bytes memory below) = _prove(hashes, from, half, index);
            bytes32 right = _root(hashes, half, to);
            return (above(node, right), bytes.concat(below, right));
        }
        (bytes32 node_, bytes memory below_) = _prove(hashes, half, to, index);
        bytes32 left = _root(hashes, from, half);
        return (above(left, node_), bytes.concat(below_, left));
    }

    function _root(bytes32[] memory hashes, uint256 from, uint256 to) private pure returns (bytes32) {
        if (to - from == 1) return hashes[from];
        uint256 half = 1;
        while (2 * half < to - from) half *= 2;
        return above(_root(hashes, from, from + half), _root(hashes, from + half, to));
    }
}

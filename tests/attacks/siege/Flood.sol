// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Stands in front of the staking contract of a development chain and writes logs in its name, thousands in a
/// transaction. Every other call is passed on, with storage and address as they were: nodes notice the logs alone.
/// @dev Nobody could do this on a network. The question is what logs cost that are there, however they came.
contract Flood {
    event MetadataChanged(address indexed node, string metadata);
    event NodeRegistered(
        address indexed node,
        address indexed owner,
        uint8 indexed role,
        uint32 leaf,
        uint256 epoch,
        uint64 weight
    );

    address private immutable ORIGINAL;

    constructor(address original) {
        ORIGINAL = original;
    }

    function floodMetadata(address node, uint256 count, string calldata metadata) external {
        for (uint256 i = 0; i < count; ++i) {
            emit MetadataChanged(node, metadata);
        }
    }

    /// @param first Address of the first of `count` miners; the others follow it.
    function floodRegistrations(uint160 first, uint256 count) external {
        for (uint160 i = 0; i < count; ++i) {
            emit NodeRegistered(address(first + i), msg.sender, 1, uint32(i), 0, 0);
        }
    }

    fallback() external payable {
        address original = ORIGINAL;
        assembly {
            calldatacopy(0, 0, calldatasize())
            let ok := delegatecall(gas(), original, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            if ok { return(0, returndatasize()) }
            revert(0, returndatasize())
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title How blocks are counted as epochs.
/// @notice Block numbers are those that contracts see. On a rollup these may be the parent chain's, so a
/// client must ask `EpochSeeds.clock()` and never compare with the block numbers of its RPC.
interface IEpochs {
    /// @notice Epoch length or seed delay is out of bounds.
    error EpochParametersOutOfBounds(uint256 epochBlocks, uint256 seedDelayBlocks);

    /// @notice The epoch of the current block.
    function currentEpoch() external view returns (uint256);

    /// @notice Length of an epoch in blocks.
    function EPOCH_BLOCKS() external view returns (uint256);

    /// @notice Blocks between an epoch's snapshot and its seed block.
    function SEED_DELAY_BLOCKS() external view returns (uint256);
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEpochs} from "./IEpochs.sol";

/// @title The seeds from which the draws of an epoch come.
interface IEpochSeeds is IEpochs {
    /// @notice The seed of an epoch is known from now on.
    event SeedRecorded(uint256 indexed epoch, bytes32 seed, uint256 snapshotBlock);

    /// @notice The hash of the seed block does not exist yet.
    error SeedNotReady(uint256 epoch, uint256 seedBlock);
    /// @notice The hash of the seed block is no longer readable: this epoch never gets a seed.
    error SeedMissed(uint256 epoch);
    /// @notice An earlier epoch can still be recorded and has to come first.
    error EarlierSeedPending(uint256 earlierEpoch);

    /// @notice Records the seed of an epoch. Anybody may, within 256 blocks after the seed block.
    /// Recording twice is harmless and returns the same seed.
    /// @param epoch The earliest one that can be recorded (`nextRecordableEpoch`), or one recorded already.
    /// @return seed keccak256(abi.encode(previous recorded seed, blockhash(seed block), epoch)).
    function recordSeed(uint256 epoch) external returns (bytes32 seed);

    /// @notice The seed of an epoch; zero if it has none.
    /// @param epoch Number of the epoch.
    function epochSeed(uint256 epoch) external view returns (bytes32);

    /// @notice The newest epoch with a seed; 0 if there is none.
    function latestSeededEpoch() external view returns (uint256);

    /// @notice The only epoch that `recordSeed` would newly accept; it may lie in the future.
    function nextRecordableEpoch() external view returns (uint256);

    /// @notice The first block of an epoch: stakes count as they stood before it.
    /// @param epoch Number of the epoch.
    function snapshotBlock(uint256 epoch) external view returns (uint256);

    /// @notice The block whose hash seeds an epoch: `SEED_DELAY_BLOCKS` after the snapshot.
    /// @param epoch Number of the epoch.
    function seedBlock(uint256 epoch) external view returns (uint256);

    /// @notice The current block number as contracts on this chain see it (ERC-6372).
    function clock() external view returns (uint48);

    /// @notice Says that `clock()` counts blocks (ERC-6372).
    function CLOCK_MODE() external view returns (string memory);

    /// @notice The staking contract whose epochs these are.
    function STAKING() external view returns (address);
}

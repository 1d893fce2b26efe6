// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEpochs} from "./interfaces/IEpochs.sol";

/// @title How blocks are counted as epochs, where it has to be known.
abstract contract Epochs is IEpochs {
    uint256 private constant MIN_EPOCH_BLOCKS = 4;
    uint256 private constant MAX_EPOCH_BLOCKS = 1_000_000;

    /// @inheritdoc IEpochs
    uint256 public immutable EPOCH_BLOCKS;
    /// @inheritdoc IEpochs
    uint256 public immutable SEED_DELAY_BLOCKS;

    /// @param epochBlocks 4 to 1,000,000.
    /// @param seedDelayBlocks At least 1 and less than an epoch; more than the chain's usual reorganisation.
    constructor(uint256 epochBlocks, uint256 seedDelayBlocks) {
        bool epochInBounds = epochBlocks >= MIN_EPOCH_BLOCKS && epochBlocks <= MAX_EPOCH_BLOCKS;
        if (!epochInBounds || seedDelayBlocks == 0 || seedDelayBlocks >= epochBlocks) {
            revert EpochParametersOutOfBounds(epochBlocks, seedDelayBlocks);
        }
        EPOCH_BLOCKS = epochBlocks;
        SEED_DELAY_BLOCKS = seedDelayBlocks;
    }

    /// @inheritdoc IEpochs
    function currentEpoch() public view returns (uint256) {
        return block.number / EPOCH_BLOCKS;
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Epochs} from "./Epochs.sol";
import {IEpochs} from "./interfaces/IEpochs.sol";
import {IEpochSeeds} from "./interfaces/IEpochSeeds.sol";

/// @title The seeds of the epochs that staking counts.
/// @notice Stakes count as they stood when an epoch began; the seed comes from a later block. So whoever learns the
/// seed can no longer move stake into the snapshot that it draws from.
///
/// What a seed is worth: the producer of the seed block can try several hashes, and on a rollup with one
/// sequencer that is one party (there prevrandao is constant, so it would add nothing). A seed decides who
/// works and who audits; no contract pays out on it alone.
///
/// Nobody can choose a seed by coming late: there is one value per epoch, it can only be recorded or missed,
/// and it is missed only if not one of all accounts records it during 256 blocks.
contract EpochSeeds is IEpochSeeds, Epochs {
    /// @dev EIP-210 never came: the EVM serves the hashes of the last 256 blocks.
    uint256 private constant BLOCKHASH_WINDOW = 256;

    /// @inheritdoc IEpochSeeds
    address public immutable STAKING;

    /// @inheritdoc IEpochSeeds
    mapping(uint256 epoch => bytes32 seed) public epochSeed;
    /// @inheritdoc IEpochSeeds
    uint256 public latestSeededEpoch;

    /// @dev Epochs up to the one of the deployment have no seed: nobody was staked at their snapshots.
    uint256 private immutable FIRST_EPOCH;
    bytes32 private _previousSeed;

    /// @param staking Says how long epochs are, and how late their seed blocks.
    constructor(address staking)
        Epochs(IEpochs(staking).EPOCH_BLOCKS(), IEpochs(staking).SEED_DELAY_BLOCKS())
    {
        STAKING = staking;
        FIRST_EPOCH = currentEpoch() + 1;
        _previousSeed = keccak256(abi.encode(block.chainid, address(this)));
    }

    /// @inheritdoc IEpochSeeds
    function recordSeed(uint256 epoch) external returns (bytes32 seed) {
        seed = epochSeed[epoch];
        if (seed != 0) return seed;

        uint256 next = nextRecordableEpoch();
        if (epoch < next) revert SeedMissed(epoch);
        uint256 hashedBlock = seedBlock(next);
        if (block.number <= hashedBlock) revert SeedNotReady(epoch, seedBlock(epoch));
        // Each seed depends on the one before it, so a free order would be a choice between two seeds.
        if (epoch != next) revert EarlierSeedPending(next);

        seed = keccak256(abi.encode(_previousSeed, blockhash(hashedBlock), epoch));
        _previousSeed = seed;
        epochSeed[epoch] = seed;
        latestSeededEpoch = epoch;
        emit SeedRecorded(epoch, seed, snapshotBlock(epoch));
    }

    /// @inheritdoc IEpochSeeds
    function nextRecordableEpoch() public view returns (uint256) {
        uint256 next = Math.max(FIRST_EPOCH, latestSeededEpoch + 1);
        uint256 beforeWindow = SEED_DELAY_BLOCKS + BLOCKHASH_WINDOW;
        if (block.number <= beforeWindow) return next;
        return Math.max(next, Math.ceilDiv(block.number - beforeWindow, EPOCH_BLOCKS));
    }

    /// @inheritdoc IEpochSeeds
    function snapshotBlock(uint256 epoch) public view returns (uint256) {
        return epoch * EPOCH_BLOCKS;
    }

    /// @inheritdoc IEpochSeeds
    function seedBlock(uint256 epoch) public view returns (uint256) {
        return snapshotBlock(epoch) + SEED_DELAY_BLOCKS;
    }

    /// @inheritdoc IEpochSeeds
    function clock() public view returns (uint48) {
        return SafeCast.toUint48(block.number);
    }

    /// @inheritdoc IEpochSeeds
    function CLOCK_MODE() external pure returns (string memory) {
        return "mode=blocknumber&from=default";
    }
}

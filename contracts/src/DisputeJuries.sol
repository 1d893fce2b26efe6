// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Fault, IDisputes, Phase} from "./interfaces/IDisputes.sol";
import {IStaking} from "./interfaces/IStaking.sol";

/// @title How a jury is drawn: by stake, from the hash of a block that comes after the accusation.
/// @notice While a dispute waits for its jury, the tree of jurors does not change from the seed block on: whoever
/// learns the seed can no longer move stake to where it is drawn.
abstract contract DisputeJuries is IDisputes {
    /// @dev Five slots.
    struct Case {
        address reporter;
        uint40 seedBlock;
        uint40 deadline;
        Phase phase;
        Fault fault;
        // Second slot. The sets of jurors have one bit for each.
        address accused;
        // The accused's own if the reporter has named no node.
        uint32 reporterLeaf;
        uint8 jurors;
        uint8 voted;
        uint8 votedGuilty;
        uint8 closed;
        // Third and fourth slot.
        uint32[7] leaves;
        uint96 jurorReward;
        // Fifth slot: who is accused of what about which task.
        bytes32 charge;
    }

    /// @inheritdoc IDisputes
    uint256 public constant JURORS = 7;
    /// @inheritdoc IDisputes
    uint256 public constant MIN_JURORS = 3;

    /// @dev EIP-210 never came: the EVM serves the hashes of the last 256 blocks.
    uint256 private constant BLOCKHASH_WINDOW = 256;
    /// @dev Where a few nodes have nearly all the stake, the jury may be smaller than `JURORS`.
    uint256 private constant MAX_DRAWS = 64;

    /// @inheritdoc IDisputes
    address public immutable STAKING;
    /// @dev As for the epochs' seeds.
    uint256 private immutable SEED_DELAY_BLOCKS;

    /// @dev Disputes that wait for a jury. When there are none, the tree need not be locked.
    uint256 private _waiting;

    constructor(address staking) {
        STAKING = staking;
        // A lock does not begin later than it lasts.
        SEED_DELAY_BLOCKS =
            Math.min(IStaking(staking).SEED_DELAY_BLOCKS(), IStaking(staking).MAX_LOCK_BLOCKS());
    }

    /// @dev Chooses a seed block that nobody knows the hash of.
    function _awaitSeed(Case storage dispute) internal returns (uint256 seedBlock) {
        seedBlock = block.number + SEED_DELAY_BLOCKS;
        dispute.seedBlock = SafeCast.toUint40(seedBlock);
        ++_waiting;
        // It lapses when the hash can no longer be read.
        IStaking(STAKING).lockWeights(seedBlock);
    }

    function _stopWaiting() internal {
        --_waiting;
        if (_waiting == 0) IStaking(STAKING).unlockWeights();
    }

    function _seedIsMissed(Case storage dispute) internal view returns (bool) {
        return block.number > dispute.seedBlock + BLOCKHASH_WINDOW;
    }

    /// @dev Draws with replacement and passes over whom it has, the accused and the reporter's node.
    /// @return leaves An odd number of them, at most `JURORS`; none if fewer than `MIN_JURORS` were found.
    function _draw(uint256 disputeId, Case storage dispute) internal view returns (uint32[] memory leaves) {
        IStaking staking = IStaking(STAKING);
        if (staking.totalWeight() == 0) return leaves;
        bytes32 seed = keccak256(abi.encode(blockhash(dispute.seedBlock), address(this), disputeId));
        uint32 accusedLeaf = staking.leafOf(dispute.accused);
        uint32 reporterLeaf = dispute.reporterLeaf;
        leaves = new uint32[](JURORS);
        uint256 found = 0;
        for (uint256 i = 0; i < MAX_DRAWS && found < JURORS; ++i) {
            (uint32 leaf,) = staking.drawLeaf(uint256(keccak256(abi.encode(seed, i))));
            if (leaf == accusedLeaf || leaf == reporterLeaf || _has(leaves, found, leaf)) continue;
            leaves[found] = leaf;
            ++found;
        }
        // An even jury could not agree; the last one drawn goes home.
        if (found % 2 == 0 && found != 0) --found;
        if (found < MIN_JURORS) found = 0;
        // Shortens the array in place; there is no other way to say it in Solidity.
        assembly ("memory-safe") {
            mstore(leaves, found)
        }
    }

    /// @dev The position of a node among the jurors. Reverts for others, and for keys that are no nodes.
    function _jurorIndex(uint256 disputeId, Case storage dispute, address node)
        internal
        view
        returns (uint256)
    {
        uint32 leaf = IStaking(STAKING).leafOf(node);
        uint256 jurors = dispute.jurors;
        for (uint256 i = 0; i < jurors; ++i) {
            if (dispute.leaves[i] == leaf) return i;
        }
        revert NotAJuror(disputeId, node);
    }

    function _has(uint32[] memory leaves, uint256 count, uint32 leaf) private pure returns (bool) {
        for (uint256 i = 0; i < count; ++i) {
            if (leaves[i] == leaf) return true;
        }
        return false;
    }
}

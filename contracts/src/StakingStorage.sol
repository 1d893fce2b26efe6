// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SumTree} from "./libraries/SumTree.sol";
import {WeightHistory} from "./libraries/WeightHistory.sol";

/// @title Where staking keeps what, and why the numbers fit.
/// @notice One slot for each thing that one step writes. The bounds:
///
/// - Amounts of CAI are at most `MAX_STAKE` = 2^31 - 1 CAI (2^91 wei) in a pool, and 2^96 wei anywhere, for the
///   token has fewer (CAI: 10^9 CAI, 2^90 wei).
/// - Shares start at 1,000 for a wei: 2^101 for the largest pool, 2^100 for the whole supply. Each slash lowers
///   the price, so more shares fit a wei. When 2^104 are reached, that pool takes no deposits any more; all
///   else works. A thawing pool has 2^160: with a partial slash of at most half, 57 of them, with a request
///   open for the whole time, before one could no longer unvote.
/// - The sum for a unit of weight, 2^96 of 2^-8 wei, is 3 * 10^8 CAI for each CAI of weight. If it were
///   reached, the stream would be carried over instead. For a share see `RewardMath`; if that sum ran over,
///   income would be the owner's. Neither can stop a slash.
/// - Seconds and blocks count from the deployment: 2^32 seconds are 136 years, 2^16 days 179.
/// - 2^24 leaves, of at least 20,000 CAI each for the unbonding delay; 2^24 changes of a node's weight, one an epoch.
abstract contract StakingStorage {
    /// @dev Stake that stands behind a node.
    struct ActivePool {
        uint96 stake;
        uint104 shares;
        // The epoch of the newest entry of the weight's history, and how many have been written.
        uint32 changedEpoch;
        uint24 checkpoints;
    }

    /// @dev Stake on its way out. It is slashed with the active pool. After a slash of everything both are
    /// empty for good, as the node is jailed for good: nothing ever enters them again, so no share of before
    /// the slash can ever be worth anything of after it.
    struct ThawingPool {
        uint96 stake;
        uint160 shares;
    }

    /// @dev What an account has behind a node.
    struct Holding {
        uint104 shares;
        uint128 rewardPaid; // the node's sum for a share when this was last settled
        uint16 lastRequest;
        uint8 openRequests;
    }

    struct Request {
        uint160 thawingShares;
        uint40 releaseTime;
    }

    /// @dev The stream, the tree's size and its lock: what each change of a weight has to read.
    struct Shared {
        uint96 perWeight; // the sum for a unit of weight, of 2^-8 wei
        uint40 rateGwei; // 10^9 wei a second
        uint32 settledAt; // seconds
        uint16 endDay; // days
        uint24 leafCount;
        uint32 lockFrom; // blocks, first of the lock minus one
        uint16 lockBlocks; // 0: no lock
    }

    /// @dev What a node has earned for each of its shares.
    struct NodeIncome {
        uint128 perShare; // of 2^-80 wei
        uint96 perWeightPaid; // the stream's sum when this was last settled
        uint32 firstEpoch; // of the registration; `NOT_YET` before
    }

    /// @dev What a node's owner has earned as such, and the part that it has announced; and fees that are on
    /// their way to owner and shares.
    struct Commission {
        uint96 owed;
        uint16 nextBasisPoints;
        uint40 nextFrom;
        bool announced; // ever: from then on the slot is never zero again, so adding to it makes none
        uint64 feesGwei; // 10^9 wei
        uint32 flowedAt; // seconds, until which fees have flowed
    }

    struct RewardsHeld {
        uint128 held; // funded and paid in, less what was claimed
        uint128 carried; // of it, what fell due while nobody could earn it
    }

    /// @dev What a slasher has taken.
    struct Proceeds {
        uint120 toBurn;
        uint128 owed;
        bool made; // of a slasher: its slot is never zero, so that no slash pays for a new one
    }

    uint32 internal constant NOT_YET = type(uint32).max;

    mapping(address node => ActivePool) internal _pools;
    mapping(address node => ThawingPool) internal _thawing;
    mapping(address node => mapping(address account => Holding)) internal _holdings;
    mapping(address node => mapping(address account => mapping(uint256 requestId => Request))) internal
        _requests;

    Shared internal _shared;
    SumTree.Tree internal _tree;
    mapping(address node => WeightHistory.History) internal _histories;

    mapping(address node => NodeIncome) internal _incomes;
    mapping(address node => Commission) internal _commissions;
    mapping(address account => uint256) internal _credits;
    RewardsHeld internal _rewards;

    mapping(address slasher => Proceeds) internal _slashed;

    /// @dev From which seconds, days and blocks are counted.
    uint256 internal immutable GENESIS_TIME = block.timestamp;
    uint256 internal immutable GENESIS_BLOCK = block.number;

    // One copy of the code that unpacks or packs each slot, however many places use it.

    function _loadPool(address node) internal view returns (ActivePool memory) {
        return _pools[node];
    }

    function _storePool(address node, ActivePool memory pool) internal {
        _pools[node] = pool;
    }

    function _loadThawing(address node) internal view returns (ThawingPool memory) {
        return _thawing[node];
    }

    function _storeThawing(address node, ThawingPool memory pool) internal {
        _thawing[node] = pool;
    }

    function _loadHolding(address node, address account) internal view returns (Holding memory) {
        return _holdings[node][account];
    }

    function _storeHolding(address node, address account, Holding memory holding) internal {
        _holdings[node][account] = holding;
    }

    function _loadIncome(address node) internal view returns (NodeIncome memory) {
        return _incomes[node];
    }

    function _storeIncome(address node, NodeIncome memory income) internal {
        _incomes[node] = income;
    }

    function _loadShared() internal view returns (Shared memory) {
        return _shared;
    }
}

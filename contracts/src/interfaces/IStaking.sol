// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEpochSeeds} from "./IEpochSeeds.sol";
import {INodeRegistry, Role} from "./INodeRegistry.sol";

/// @notice Everything about a node at the current block; all zero if it is not registered.
struct NodeInfo {
    address owner;
    Role role;
    /// Slashed, and closed for good.
    bool jailed;
    /// Not jailed, and its own stake is above the minimum: it takes part in draws.
    bool active;
    /// What the owner's shares are worth, in wei of CAI.
    uint256 ownStake;
    /// The owner's and the voters' stake, in wei of CAI, without what is unbonding.
    uint256 totalStake;
    /// Still slashable, in wei of CAI.
    uint256 unbondingStake;
    string metadata;
}

/// @notice Stake on its way out; all zero once withdrawn.
struct Unbonding {
    address account;
    address node;
    /// What it is worth now, in wei of CAI: a slash lowers it until it is withdrawn.
    uint256 amount;
    /// Timestamp in seconds from which it can be withdrawn.
    uint256 releaseTime;
}

/// @title Stake behind nodes: owners' own and voters', with delayed exit and one slasher.
interface IStaking is INodeRegistry, IEpochSeeds {
    /// @notice Stake has entered a node's pool.
    event Staked(address indexed node, address indexed account, uint256 amount, uint256 shares);
    /// @notice Stake has left a node's pool and can be withdrawn at `releaseTime`.
    event UnbondingStarted(
        uint256 indexed requestId,
        address indexed node,
        address indexed account,
        uint256 shares,
        uint256 amount,
        uint256 releaseTime
    );
    /// @notice Unbonded stake was paid out.
    event Withdrawn(uint256 indexed requestId, address indexed node, address indexed account, uint256 amount);
    /// @notice The weight of a node in draws has changed, from this block on.
    event WeightChanged(address indexed node, uint256 weight);
    /// @notice A node was slashed and jailed. `stakeTaken` + `unbondingTaken` = `reward` + `burned`.
    event Slashed(
        address indexed node,
        address indexed reporter,
        uint256 stakeTaken,
        uint256 unbondingTaken,
        uint256 reward,
        uint256 burned
    );
    /// @notice A reporter's credit was paid out.
    event RewardWithdrawn(address indexed account, uint256 amount);

    /// @notice The unbonding delay is out of bounds.
    error UnbondingDelayOutOfBounds(uint256 delay);
    /// @notice Own stake has to be strictly more than `minimum`.
    error OwnStakeTooSmall(uint256 amount, uint256 minimum);
    /// @notice The amount or the shares are zero, or worth less than one wei.
    error NothingToMove();
    /// @notice Owners add to their own stake with `addStake`.
    error OwnerCannotVote(address node);
    /// @notice The node takes part in no draws, so a vote would stand idle.
    error NodeInactive(address node);
    /// @notice The node was slashed and takes no stake any more.
    error NodeJailed(address node);
    /// @notice The account has only `available` shares.
    error NotEnoughShares(uint256 shares, uint256 available);
    /// @notice No such request of this account.
    error NotYourRequest(uint256 requestId, address account);
    /// @notice The request can be withdrawn from `releaseTime` on.
    error StillUnbonding(uint256 requestId, uint256 releaseTime);
    /// @notice The account has no reward to withdraw.
    error NoReward(address account);
    /// @notice Only the slasher may slash.
    error NotSlasher(address account);
    /// @notice The slashed fraction or the reporter's share is out of bounds.
    error SlashOutOfBounds(uint256 fraction, uint256 reporterShare);
    /// @notice The block is not in the past yet, so stakes at it may still change.
    error BlockNotPast(uint256 blockNumber, uint256 currentBlock);

    /// @notice Registers a node key that consents, with the caller as its owner, and stakes for it.
    /// @param role Miner or Coordinator.
    /// @param node The node key, not registered before.
    /// @param metadata At most `MAX_METADATA_BYTES`.
    /// @param amount Own stake in wei of CAI, strictly more than `minimumOwnStake(role)`; needs allowance.
    /// @param deadline Timestamp in seconds until which the consent holds.
    /// @param consentSignature 65 bytes r‖s‖v by the node key over `consentDigest`.
    function register(
        Role role,
        address node,
        string calldata metadata,
        uint256 amount,
        uint256 deadline,
        bytes calldata consentSignature
    ) external;

    /// @notice Adds to the owner's own stake; may make an inactive node active again.
    /// @param node A node of the caller's.
    /// @param amount In wei of CAI; needs allowance.
    /// @return shares What the caller gets for it.
    function addStake(address node, uint256 amount) external returns (uint256 shares);

    /// @notice Delegates stake to an active node of somebody else's. It is slashed with the node's.
    /// @param node The node to stake behind.
    /// @param amount In wei of CAI; needs allowance.
    /// @return shares What the caller gets for it.
    function vote(address node, uint256 amount) external returns (uint256 shares);

    /// @notice Begins to take stake back, owner's or voter's. It stays slashable until it is withdrawn.
    /// @param node The node from which to take it.
    /// @param shares Of the caller's `sharesOf`.
    /// @return requestId For `withdraw`.
    function unvote(address node, uint256 shares) external returns (uint256 requestId);

    /// @notice Pays out unbonded stake to the caller whose request it is.
    /// @param requestId From `unvote`, of the caller's.
    /// @return amount In wei of CAI; less than it was if the node was slashed meanwhile, even zero.
    function withdraw(uint256 requestId) external returns (uint256 amount);

    /// @notice Pays out what the caller has earned by reporting.
    /// @return amount In wei of CAI.
    function withdrawReward() external returns (uint256 amount);

    /// @notice Slashes a node's own, voters' and unbonding stake pro rata and jails it. Only the slasher.
    /// It never reverts for a registered node, whatever is left of its stake.
    /// @param node The node.
    /// @param fraction To take, in basis points, 1 to 10,000.
    /// @param reporter Credited with its share.
    /// @param reporterShare Of what is taken, in basis points, at most 5,000; the rest is burned.
    /// @return taken In wei of CAI.
    /// @return reward Credited to the reporter, in wei of CAI.
    function slash(address node, uint256 fraction, address reporter, uint256 reporterShare)
        external
        returns (uint256 taken, uint256 reward);

    /// @notice Everything about a node at the current block.
    /// @param node The node key.
    function nodeInfo(address node) external view returns (NodeInfo memory);

    /// @notice The shares of an account behind a node.
    /// @param node The node key.
    /// @param account Owner or voter.
    function sharesOf(address node, address account) external view returns (uint256);

    /// @notice What the shares of an account behind a node are worth, in wei of CAI.
    /// @param node The node key.
    /// @param account Owner or voter.
    function stakeOf(address node, address account) external view returns (uint256);

    /// @notice A request to withdraw.
    /// @param requestId From `unvote`.
    function unbonding(uint256 requestId) external view returns (Unbonding memory);

    /// @notice What an account can withdraw as a reporter, in wei of CAI.
    /// @param account The reporter.
    function rewardOf(address account) external view returns (uint256);

    /// @notice All rewards that are credited and not withdrawn, in wei of CAI.
    function unclaimedRewards() external view returns (uint256);

    /// @notice A node's weight in the draws as of the end of a past block: its stake, or 0 while inactive.
    /// @param node The node key.
    /// @param blockNumber As in `clock()`, before the current one.
    function weightAt(address node, uint256 blockNumber) external view returns (uint256);

    /// @notice The nodes of a role with a weight at a past block, among a part of the list of nodes.
    /// @param role Miner or Coordinator.
    /// @param blockNumber As in `clock()`, before the current one.
    /// @param start Position in the list of nodes (all roles).
    /// @param count Positions to look at; page through to `nodeCount()`.
    function snapshot(Role role, uint256 blockNumber, uint256 start, uint256 count)
        external
        view
        returns (address[] memory nodes, uint256[] memory weights);

    /// @notice Own stake has to be strictly more than this, in wei of CAI.
    /// @param role Miner or Coordinator.
    function minimumOwnStake(Role role) external pure returns (uint256);

    /// @notice The ERC-20 that is staked.
    function TOKEN() external view returns (address);

    /// @notice The one contract that may slash.
    function SLASHER() external view returns (address);

    /// @notice Seconds from `unvote` to `withdraw`.
    function UNBONDING_DELAY() external view returns (uint256);
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {INodeRegistry, Role} from "./INodeRegistry.sol";
import {IRewards} from "./IRewards.sol";
import {IWeights} from "./IWeights.sol";

/// @dev As `jailSeconds` of a slash, and as `jailedUntil` of a node: for good.
uint256 constant JAIL_FOREVER = type(uint40).max;

/// @notice What is fixed for good when staking is deployed.
struct StakingParameters {
    /// CAI, which reverts on a failed transfer and lets holders burn.
    address token;
    /// These three may not exist yet: each checks on its own deployment that it is meant.
    address slashing;
    address disputes;
    address escrow;
    /// In seconds, 1 minute to 60 days; longer than evidence takes to surface.
    uint256 unbondingDelay;
    /// See `Epochs`.
    uint256 epochBlocks;
    uint256 seedDelayBlocks;
}

/// @notice Everything about a node at the current block; all zero if it is not registered.
struct NodeInfo {
    address owner;
    Role role;
    /// It takes part in draws: not jailed, not gone, and its own stake was above the minimum when last looked at.
    bool active;
    /// Deregistered by its owner.
    bool left;
    /// Timestamp in seconds from which it may be unjailed; 0 if it is not jailed, or `JAIL_FOREVER`.
    uint256 jailedUntil;
    uint32 leaf;
    /// What the owner's shares are worth, in wei of CAI.
    uint256 ownStake;
    /// The owner's and the voters' stake, in wei of CAI, without what is unbonding.
    uint256 totalStake;
    /// Still slashable, in wei of CAI.
    uint256 unbondingStake;
}

/// @notice Stake on its way out; all zero once withdrawn.
struct Unbonding {
    /// What it is worth now, in wei of CAI: a slash lowers it until it is withdrawn.
    uint256 amount;
    /// Timestamp in seconds from which it can be withdrawn.
    uint256 releaseTime;
}

/// @title Stake behind nodes: owners' own and voters', with delayed exit, jail and three slashers.
/// @notice No amount of stake, own or voters', behind one node or all, may be above `MAX_STAKE`, 2^31 - 1 CAI.
interface IStaking is IRewards, IWeights, INodeRegistry {
    /// @notice Stake has entered a node's pool.
    event Staked(address indexed node, address indexed account, uint256 amount, uint256 shares);
    /// @notice Stake has left a node's pool and can be withdrawn at `releaseTime`.
    event UnbondingStarted(
        address indexed node,
        address indexed account,
        uint256 indexed requestId,
        uint256 shares,
        uint256 amount,
        uint256 releaseTime
    );
    /// @notice Unbonded stake was paid out.
    event Withdrawn(address indexed node, address indexed account, uint256 indexed requestId, uint256 amount);
    /// @notice A node was slashed. `reward` of what was taken is owed to the slasher, the rest is burned.
    event Slashed(
        address indexed node,
        address indexed slasher,
        uint256 stakeTaken,
        uint256 unbondingTaken,
        uint256 reward,
        uint256 jailedUntil
    );
    /// @notice The owner has taken its node out of jail.
    event Unjailed(address indexed node);
    /// @notice A slasher has paid a part of what was owed to it.
    event RewardPaid(address indexed slasher, address indexed account, uint256 amount);
    /// @notice What slashes have taken and nobody is owed was burned.
    event SlashedBurned(uint256 amount);

    /// @notice The unbonding delay is out of bounds.
    error UnbondingDelayOutOfBounds(uint256 delay);
    /// @notice Own stake has to be strictly more than `minimum`.
    error OwnStakeTooSmall(uint256 amount, uint256 minimum);
    /// @notice The amount or the shares are zero, or worth less than one wei.
    error NothingToMove();
    /// @notice Owners add to their own stake with `stake`.
    error OwnerCannotVote(address node);
    /// @notice The node takes part in no draws, so a vote would stand idle.
    error NodeInactive(address node);
    /// @notice The node is jailed: until a timestamp in seconds, or for good (`JAIL_FOREVER`).
    error NodeJailed(address node, uint256 jailedUntil);
    /// @notice The node is not jailed.
    error NodeNotJailed(address node);
    /// @notice A pool holds no more than this, in wei of CAI, and takes no more after many slashes.
    error PoolFull(address node);
    /// @notice The account has only `available` shares.
    error NotEnoughShares(uint256 shares, uint256 available);
    /// @notice At most so many requests of an account behind a node at a time.
    error TooManyRequests(uint256 limit);
    /// @notice No such request of this account behind this node.
    error NoSuchRequest(address node, address account, uint256 requestId);
    /// @notice The request can be withdrawn from `releaseTime` on.
    error StillUnbonding(uint256 requestId, uint256 releaseTime);
    /// @notice Only the slashers may do that.
    error NotSlasher(address account);
    /// @notice The three slashers have to be three contracts.
    error SlashersNotDistinct();
    /// @notice The slashed fraction or the rewarded share is out of bounds.
    error SlashOutOfBounds(uint256 fraction, uint256 rewardShare);
    /// @notice The slasher is owed only `available`.
    error NotOwed(address slasher, uint256 amount, uint256 available);

    /// @notice Stakes behind a node key that is not registered yet, or behind a node of one's own. Staking for
    /// a key that does not register gives nothing and risks nothing; it leaves by `unvote` and the delay.
    /// @param node The node key.
    /// @param amount In wei of CAI; needs allowance.
    /// @return shares What the caller gets for it.
    function stake(address node, uint256 amount) external returns (uint256 shares);

    /// @notice Registers a node key that consents, with the caller as its owner, who has staked for it.
    /// @param role Miner or Coordinator; the caller's own stake must be more than `minimumOwnStake(role)`.
    /// @param node The node key, never registered before.
    /// @param metadata At most `MAX_METADATA_BYTES`, a small JSON text by convention.
    /// @param deadline Timestamp in seconds until which the consent holds.
    /// @param consentSignature 65 bytes r‖s‖v by the node key over `consentDigest`.
    function register(
        Role role,
        address node,
        string calldata metadata,
        uint256 deadline,
        bytes calldata consentSignature
    ) external;

    /// @notice Takes a node of the caller's off the network, for good: its weight is 0 from now on, it takes no
    /// stake, and its key never registers again. Its stake leaves as before, and stays slashable till then.
    /// @param node The node key.
    function deregister(address node) external;

    /// @notice Delegates stake to an active node of somebody else's. It is slashed with the node's.
    /// @param node The node to stake behind.
    /// @param amount In wei of CAI; needs allowance.
    /// @return shares What the caller gets for it.
    function vote(address node, uint256 amount) external returns (uint256 shares);

    /// @notice Begins to take stake back, owner's or voter's. It stays slashable until it is withdrawn, which is
    /// `UNBONDING_DELAY` later; twice as late for an owner of whose own stake no more than the minimum is left
    /// while others have stake there: they see it go, and can leave before.
    /// @param node The node from which to take it.
    /// @param shares Of the caller's `sharesOf`.
    /// @return requestId For `withdraw`; the caller's requests behind a node are counted from 1, and an id is
    /// used again after 65,535 others.
    function unvote(address node, uint256 shares) external returns (uint256 requestId);

    /// @notice Pays out unbonded stake of the caller's.
    /// @param node As in `unvote`.
    /// @param requestId From `unvote`.
    /// @return amount In wei of CAI; less than it was if the node was slashed meanwhile, even zero.
    function withdraw(address node, uint256 requestId) external returns (uint256 amount);

    /// @notice Takes a node of the caller's out of jail when its time is over. It is active again if its own
    /// stake is above the minimum; if not, as soon as enough is staked.
    /// @param node The node key.
    function unjail(address node) external;

    /// @notice Slashes a node's own, voters' and unbonding stake pro rata, and jails it. With all of the stake the owner
    /// loses its commission, also of what was earned and not settled yet: that is its voters'. Only `SLASHING`,
    /// `DISPUTES` and `ESCROW`. It pays nobody: the reward is owed to the caller, which gives it on with
    /// `payReward`; the rest waits for `burnSlashed`. For a registered node and arguments in bounds it never
    /// reverts, whatever is left of its stake, and whether it has left or is jailed.
    /// @param node A node that was ever registered, or it reverts with `NotRegistered`.
    /// @param fraction To take, in basis points: 1 to `MAX_PARTIAL_SLASH`, or all, 10,000.
    /// @param rewardShare Of what is taken, in basis points, at most `MAX_REWARD_SHARE`. It is lowered to half
    /// of what the owner loses of its stake that is not unbonding, or to 100 CAI, times the fraction, if that is
    /// more (see `RewardShare`): nobody gains by having itself slashed.
    /// @param jailSeconds 0 leaves the node where it is; anything up to `JAIL_FOREVER` jails it for so long,
    /// or leaves it in jail if it is there for longer; with all of the stake taken it is always for good.
    /// @return taken In wei of CAI; 0 if nothing was left.
    /// @return reward Now owed to the caller, in wei of CAI.
    function slash(address node, uint256 fraction, uint256 rewardShare, uint256 jailSeconds)
        external
        returns (uint256 taken, uint256 reward);

    /// @notice Pays a part of what is owed to the caller, a slasher, from its slashes.
    /// @param account Receives it.
    /// @param amount In wei of CAI, at most `owedTo(caller)`.
    function payReward(address account, uint256 amount) external;

    /// @notice Burns what slashes have taken and nobody is owed. Anybody may.
    /// @return amount In wei of CAI.
    function burnSlashed() external returns (uint256 amount);

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

    /// @notice What a slash of everything would take from a node now.
    /// @param node The node key.
    /// @return own What the owner's shares are worth, in wei of CAI, without what is unbonding.
    /// @return total Own, voters' and unbonding stake, in wei of CAI.
    function slashableStake(address node) external view returns (uint256 own, uint256 total);

    /// @notice A request to withdraw.
    /// @param node As in `unvote`.
    /// @param account Whose.
    /// @param requestId From `unvote`.
    function unbonding(address node, address account, uint256 requestId)
        external
        view
        returns (Unbonding memory);

    /// @notice What is owed to a slasher, in wei of CAI.
    /// @param slasher `SLASHING`, `DISPUTES` or `ESCROW`.
    function owedTo(address slasher) external view returns (uint256);

    /// @notice Taken by slashes, owed to nobody and not burned yet, in wei of CAI.
    function slashedToBurn() external view returns (uint256);

    /// @notice Own stake has to be strictly more than this, in wei of CAI.
    /// @param role Miner or Coordinator.
    function minimumOwnStake(Role role) external pure returns (uint256);

    /// @notice May slash: what signatures alone prove.
    function SLASHING() external view returns (address);

    /// @notice Seconds from `unvote` to `withdraw`.
    function UNBONDING_DELAY() external view returns (uint256);

    /// @notice The most that can stand behind a node, in wei of CAI.
    function MAX_STAKE() external view returns (uint256);

    /// @notice The most that a slash takes if it does not take all, in basis points.
    function MAX_PARTIAL_SLASH() external view returns (uint256);

    /// @notice The most of what is taken that can be owed to the slasher, in basis points.
    function MAX_REWARD_SHARE() external view returns (uint256);

    /// @notice The most open requests of an account behind a node.
    function MAX_OPEN_REQUESTS() external view returns (uint256);
}

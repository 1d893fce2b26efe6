// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Income of a node and its commission.
struct NodeRewards {
    /// The owner's part of what the node earns, in basis points.
    uint256 commission;
    /// What it rises to, in basis points; 0 if no rise was announced.
    uint256 nextCommission;
    /// Timestamp in seconds from which it may rise; 0 if no rise was announced.
    uint256 nextCommissionFrom;
    /// Fees that have not flowed yet, in wei of CAI.
    uint256 fees;
}

/// @notice The funded stream, at the current second.
struct RewardStream {
    /// What flows to all active stake together, in wei of CAI per second; 0 if nothing flows.
    uint256 rate;
    /// Timestamp in seconds at which it ends.
    uint256 endTime;
    /// Funded and not due yet, in wei of CAI.
    uint256 remaining;
    /// Fell due while nobody could earn it, in wei of CAI: the next funding adds it.
    uint256 carried;
}

/// @title What stake earns: a funded stream by stake and time, and a share of its node's fees.
/// @notice Nothing is minted, least of all per task: work done for oneself must never pay. Whoever earns takes
/// it with `claim`; nothing is ever sent to anybody else. What is lost to rounding stays in the contract.
interface IRewards {
    /// @notice The stream was funded.
    event RewardsFunded(address indexed account, uint256 amount, uint256 rate, uint256 endTime);
    /// @notice A node has earned fees, which flow to its owner and its shares from now on.
    event FeesAdded(address indexed node, uint256 amount);
    /// @notice Rewards were paid out.
    event Claimed(address indexed node, address indexed account, uint256 amount);
    /// @notice A node's commission is or will be this much, in basis points.
    event CommissionAnnounced(address indexed node, uint256 commission, uint256 effectiveFrom);

    /// @notice Funding has to let the stream flow for a whole period, as fast as it does now or faster, and no
    /// faster than it can count.
    error RateOutOfBounds(uint256 rate, uint256 currentRate, uint256 maximum);
    /// @notice Commission of at most `limit` basis points.
    error CommissionTooHigh(uint256 commission, uint256 limit);
    /// @notice The account has nothing to claim from this node.
    error NothingToClaim(address node, address account);

    /// @notice Adds to the stream, which then lasts `REWARD_PERIOD` from now, and up to a day more. What was
    /// left of it, and what nobody could earn, is in it again. Anybody may; needs allowance. To keep anybody
    /// from stretching it thin, it never flows slower than before.
    /// @param amount In wei of CAI; may be 0 if enough was carried over.
    function fundRewards(uint256 amount) external;

    /// @notice Takes the fees that a node has earned from the caller, for its owner and its shares. They flow to
    /// who is there in the days that follow: all within `FEE_PERIOD` if nothing is settled meanwhile, and 63 % of
    /// them at least.
    /// Only `ESCROW`; needs allowance.
    /// @param node A registered node, active or not.
    /// @param amount In wei of CAI.
    function addFees(address node, uint256 amount) external;

    /// @notice Pays the caller what it has earned behind a node, as its owner and as a holder of shares, and
    /// what earlier changes of its shares behind any node have credited to it.
    /// @param node The node key.
    /// @return amount In wei of CAI.
    function claim(address node) external returns (uint256 amount);

    /// @notice Sets the owner's part. It falls at once, and may rise `COMMISSION_NOTICE` later: at the first
    /// call after that which settles the node's rewards; all that was earned before is divided as before.
    /// @param node A node of the caller's.
    /// @param basisPoints At most `MAX_COMMISSION`.
    function announceCommission(address node, uint256 basisPoints) external;

    /// @notice What `claim` would pay now, in wei of CAI.
    /// @param node The node key.
    /// @param account Owner or voter.
    function claimable(address node, address account) external view returns (uint256);

    /// @notice The commission of a node.
    /// @param node The node key.
    function nodeRewards(address node) external view returns (NodeRewards memory);

    /// @notice The stream as it flows now.
    function rewardStream() external view returns (RewardStream memory);

    /// @notice Funded and earned and not claimed yet, with what is not due yet, in wei of CAI.
    function rewardsHeld() external view returns (uint256);

    /// @notice The ERC-20 that is staked, and in which rewards are paid.
    function TOKEN() external view returns (address);

    /// @notice May add fees, and slash: what coordinators have promised to pay.
    function ESCROW() external view returns (address);

    /// @notice Seconds for which funding flows.
    function REWARD_PERIOD() external view returns (uint256);

    /// @notice Seconds between the announcement of a higher commission and the first that is earned with it.
    function COMMISSION_NOTICE() external view returns (uint256);

    /// @notice Seconds for which fees flow.
    function FEE_PERIOD() external view returns (uint256);

    /// @notice The most that a commission can be, in basis points.
    function MAX_COMMISSION() external view returns (uint256);
}

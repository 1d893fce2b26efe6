// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What somebody is accused of; the penalty goes with it.
enum Fault {
    None,
    /// The result is not what the model makes of the task: all of the stake, and jail for good.
    FalseResult,
    /// The openings that an audit asked for were not given in time: a tenth of the stake, and a day in jail.
    WithheldOpening,
    /// Wrong, but nothing was gained by it, such as a wrong precision: a hundredth of the stake.
    CarelessResult
}

/// @notice Where a dispute stands.
enum Phase {
    None,
    /// Waits for the seed of the draw.
    Drawing,
    /// The jurors are drawn and vote.
    Voting,
    Guilty,
    NotGuilty,
    /// No jury, no quorum, a tie, or convicted already by what somebody else has shown: may be opened again.
    NoVerdict
}

/// @notice An accusation.
struct Accusation {
    /// A registered node key.
    address accused;
    /// The task that it is about.
    bytes32 taskId;
    Fault fault;
    /// Timestamp in seconds of the fault, as the evidence shows it; the jury acquits if it does not.
    uint256 committedAt;
    /// Hash of the evidence bundle, which jurors find in the network or in `evidence`.
    bytes32 evidenceHash;
    /// The bundle itself, if it has to be on chain; else empty. At most `MAX_EVIDENCE_BYTES`.
    bytes evidence;
    /// A node of the reporter's, which shall not be a juror; else zero.
    address reporterNode;
}

/// @notice A juror's vote as it is submitted.
struct Ballot {
    bool guilty;
    /// 65 bytes r‖s‖v by the juror's node key over `voteDigest`.
    bytes signature;
}

/// @notice A dispute.
struct Dispute {
    Phase phase;
    Fault fault;
    address reporter;
    address accused;
    /// The block whose hash draws the jury.
    uint256 seedBlock;
    /// Timestamp in seconds until which a jury has to be drawn, then until which it votes.
    uint256 deadline;
    /// Leaves of the jurors in the staking contract's tree.
    uint256[] jurorLeaves;
    /// One bit a juror, in the order of `jurorLeaves`: who has voted, who for guilty, who was paid or punished.
    uint256 voted;
    uint256 votedGuilty;
    uint256 closed;
    /// What each juror of the majority gets, in wei of CAI.
    uint256 jurorReward;
}

/// @title Accusations that take judgement: a bond, a jury drawn by stake, signed votes, and the loser pays.
interface IDisputes {
    /// @notice A dispute has begun. Its evidence is `evidence`, or is found under `evidenceHash`.
    event DisputeOpened(
        uint256 indexed disputeId,
        address indexed accused,
        address indexed reporter,
        bytes32 taskId,
        Fault fault,
        uint256 committedAt,
        bytes32 evidenceHash,
        bytes evidence,
        uint256 seedBlock
    );
    /// @notice The seed block is too old to be read; another one is waited for.
    event SeedMissed(uint256 indexed disputeId, uint256 seedBlock);
    /// @notice The jury is drawn and votes until `deadline`, a timestamp in seconds.
    event JurorsDrawn(uint256 indexed disputeId, uint256[] leaves, uint256 deadline);
    /// @notice A juror has voted.
    event Voted(uint256 indexed disputeId, address indexed juror, bool guilty);
    /// @notice A dispute has ended. `bond` and `reward` are the reporter's, `jurorReward` is each juror's of
    /// the majority.
    event DisputeClosed(
        uint256 indexed disputeId,
        Phase indexed verdict,
        uint256 taken,
        uint256 bond,
        uint256 reward,
        uint256 jurorReward
    );
    /// @notice A juror's owner was paid.
    event JurorPaid(uint256 indexed disputeId, address indexed juror, address indexed owner, uint256 amount);
    /// @notice A juror was slashed because it did not vote.
    event JurorAbsent(uint256 indexed disputeId, address indexed juror, uint256 taken, uint256 reward);
    /// @notice What an account had won, or got back, was paid out.
    event CreditPaid(address indexed account, uint256 held, uint256 rewards);

    /// @notice The staking contract lets another contract slash by disputes.
    error NotTheDisputes(address expected);
    /// @notice Age, draw and vote together have to be shorter than unbonding, and none of them zero.
    error PeriodsOutOfBounds(uint256 age, uint256 draw, uint256 vote, uint256 unbondingDelay);
    /// @notice No such node, or no such fault.
    error NoSuchAccusation(address accused, Fault fault);
    /// @notice The fault is too old, or in the future.
    error AgeOutOfBounds(uint256 committedAt);
    /// @notice The evidence is longer than `limit` bytes.
    error EvidenceTooLong(uint256 length, uint256 limit);
    /// @notice The hash is not that of the evidence, or is missing.
    error WrongEvidenceHash(bytes32 expected);
    /// @notice The node was convicted of this, or this was shown before: open, or not enough.
    error AlreadyDisputed(uint256 disputeId);
    /// @notice The reporter's node belongs to somebody else.
    error NotTheReportersNode(address node);
    /// @notice The dispute is in another phase.
    error WrongPhase(uint256 disputeId, Phase phase);
    /// @notice The seed block is not mined yet.
    error SeedNotReady(uint256 seedBlock);
    /// @notice The dispute's deadline, a timestamp in seconds, is not over.
    error NotOver(uint256 deadline);
    /// @notice The dispute's deadline, a timestamp in seconds, is over.
    error Over(uint256 deadline);
    /// @notice The node is no juror of the dispute.
    error NotAJuror(uint256 disputeId, address node);
    /// @notice The juror did not vote with the majority, or was paid.
    error NoJurorReward(uint256 disputeId, address juror);
    /// @notice A batch takes 1 to `limit`.
    error BatchOutOfBounds(uint256 count, uint256 limit);
    /// @notice Nothing is owed to the account.
    error NothingToPay(address account);

    /// @notice Opens a dispute; takes `BOND` from the caller.
    /// @param accusation Who, what and how it can be seen.
    /// @return disputeId For everything else.
    function openDispute(Accusation calldata accusation) external returns (uint256 disputeId);

    /// @notice Draws the jury from the hash of the seed block, up to `JURORS` nodes by stake, an odd number.
    /// If the hash is gone, waits for another one; if fewer than `MIN_JURORS` can be had, closes the dispute.
    /// Anybody may.
    /// @param disputeId In the phase Drawing.
    function drawJurors(uint256 disputeId) external;

    /// @notice Submits votes, whoever submits them. The first vote of a juror counts, others are passed over.
    /// @param disputeId In the phase Voting.
    /// @param ballots 1 to `JURORS`.
    function vote(uint256 disputeId, Ballot[] calldata ballots) external;

    /// @notice Ends a dispute whose time is over, or whose jurors have all voted. Without a quorum
    /// `NO_QUORUM_COST` of the bond is burned. Anybody may.
    /// @param disputeId In the phase Drawing or Voting.
    function closeDispute(uint256 disputeId) external;

    /// @notice Pays the owners of jurors who voted with the majority. Anybody may.
    /// @param disputeId Decided.
    /// @param jurors 1 to `JURORS`.
    function payJurors(uint256 disputeId, address[] calldata jurors) external;

    /// @notice Slashes jurors who did not vote; the caller gets a tenth of it. Those who were punished
    /// before are passed over. Anybody may.
    /// @param disputeId Decided: without a verdict nobody was absent.
    /// @param jurors 1 to `JURORS`.
    function punishAbsent(uint256 disputeId, address[] calldata jurors) external;

    /// @notice Pays what an account has won or gets back, to that account. Anybody may.
    /// @param account Of a reporter, or the owner of somebody acquitted.
    /// @return amount In wei of CAI.
    function payCredit(address account) external returns (uint256 amount);

    /// @notice A dispute.
    /// @param disputeId From `openDispute`.
    function disputeOf(uint256 disputeId) external view returns (Dispute memory);

    /// @notice The newest dispute about a charge and what was shown for it; 0 if there was none.
    /// @param charge From `chargeOf`.
    /// @param committedAt When the fault was committed, as was said.
    /// @param evidenceHash Of the evidence bundle.
    function latestDispute(bytes32 charge, uint256 committedAt, bytes32 evidenceHash)
        external
        view
        returns (uint256 disputeId);

    /// @notice The dispute that has convicted of a charge; 0 if there is none.
    /// @param charge From `chargeOf`.
    function convictionOf(bytes32 charge) external view returns (uint256 disputeId);

    /// @notice Who is accused of what. A lesser fault, and an acquittal, bar no other charge or evidence.
    /// @param accused The node key.
    /// @param taskId The task.
    /// @param fault Any but None.
    function chargeOf(address accused, bytes32 taskId, Fault fault) external pure returns (bytes32);

    /// @notice What `payCredit` would pay: out of what is held here, and out of what was slashed.
    /// @param account Of a reporter, or the owner of somebody acquitted.
    function creditOf(address account) external view returns (uint256 held, uint256 rewards);

    /// @notice The EIP-712 digest of `Vote(uint256 disputeId,bool guilty)`.
    /// @param disputeId What the vote is about.
    /// @param guilty What it says.
    function voteDigest(uint256 disputeId, bool guilty) external view returns (bytes32);

    /// @notice What a fault costs.
    /// @param fault Any but None.
    /// @return fraction Of the stake, in basis points.
    /// @return jailSeconds How long it stays out, or `JAIL_FOREVER`.
    function penaltyOf(Fault fault) external pure returns (uint256 fraction, uint256 jailSeconds);

    /// @notice The staking contract.
    function STAKING() external view returns (address);

    /// @notice The ERC-20 of the bonds.
    function TOKEN() external view returns (address);

    /// @notice What opening a dispute takes, in wei of CAI.
    function BOND() external view returns (uint256);

    /// @notice Jurors of a dispute if there are enough nodes; odd.
    function JURORS() external view returns (uint256);

    /// @notice The least jurors; with fewer there is no verdict. Odd.
    function MIN_JURORS() external view returns (uint256);

    /// @notice Longest evidence on chain, in bytes.
    function MAX_EVIDENCE_BYTES() external view returns (uint256);

    /// @notice The most that reporter and jurors get of a penalty together, in basis points; half each.
    function REWARD_SHARE() external view returns (uint256);

    /// @notice What a juror who does not vote loses, in basis points.
    function ABSENCE_PENALTY() external view returns (uint256);

    /// @notice What of the bond is burned when fewer than half of the jury have voted, in wei of CAI.
    function NO_QUORUM_COST() external view returns (uint256);

    /// @notice How old a fault may be, in seconds.
    function MAX_AGE() external view returns (uint256);

    /// @notice Seconds in which a jury has to be drawn.
    function DRAW_PERIOD() external view returns (uint256);

    /// @notice Seconds in which a jury votes.
    function VOTE_PERIOD() external view returns (uint256);
}

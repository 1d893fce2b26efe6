// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A punished offence.
struct Evidence {
    /// Who gets the reward; zero if there is no such evidence.
    address reporter;
    /// The block from which `PRIORITY_BLOCKS` count: of the report, or of the commitment that came before it; 0 once
    /// nobody can take the reward any more.
    uint256 since;
    /// Not yet claimed, in wei of CAI.
    uint256 reward;
}

/// @title Penalties for what can be proved by what was signed alone.
interface ISlashing {
    /// @notice A node has made two different statements for one slot. What it costs is in the `Slashed` of staking
    /// in the same transaction.
    event Equivocation(
        address indexed signer, uint8 indexed kind, bytes32 indexed slot, address reporter, uint256 reward
    );
    /// @notice Something that a node has signed was proved false. What it costs is in the `Slashed` of staking in
    /// the same transaction.
    event FaultProved(
        address indexed signer, uint8 indexed fault, bytes32 indexed slot, address reporter, uint256 reward
    );
    /// @notice Somebody says that it knows evidence, and not yet which.
    event EvidenceCommitted(bytes32 indexed commitment, address indexed account);
    /// @notice The reward has gone from who reported to who had committed to the evidence before; or, if the two are
    /// one, it stays there.
    event PriorityTaken(bytes32 indexed evidenceKey, address indexed from, address indexed to);
    /// @notice A reward was paid.
    event RewardClaimed(bytes32 indexed evidenceKey, address indexed reporter, uint256 reward);

    /// @notice The staking contract trusts another slasher.
    error NotTheSlasher(address expected);
    /// @notice The blocks for which commitments count are 1 to 100,000.
    error PriorityOutOfBounds(uint256 priorityBlocks);
    /// @notice Statements of kind 64 and above may honestly be made twice.
    error KindNotSlashable(uint8 kind);
    /// @notice One statement proves nothing, however often it is signed.
    error SameStatement();
    /// @notice The statements are by different keys, or one of them is not what was signed.
    error DifferentSigners(address signerA, address signerB);
    /// @notice Each piece of evidence counts once.
    error EvidenceSpent(address signer, uint8 kind, bytes32 slot);
    /// @notice Each fault of a signer counts once in a task, wherever in it, and whatever the evidence.
    error OffenceSpent(uint8 fault, address signer, bytes32 slot);
    /// @notice No such evidence was reported, or its reward is paid.
    error NothingToClaim(bytes32 evidenceKey);
    /// @notice Until the end of block `lastBlock` somebody may show that it had committed to the evidence: whoever has
    /// reported it, and after a quarter of that time others.
    error PriorityOpen(uint256 lastBlock);
    /// @notice There is no commitment of the caller's that is older than block `since` and at most
    /// `PRIORITY_BLOCKS` old.
    error NoPriority(uint256 committedAt, uint256 since);

    /// @notice Proves that one key has signed two statements with the same kind and slot and different
    /// bodies. Takes its whole stake, own, voters' and unbonding, and jails it for good. The caller's reward
    /// is `REPORTER_SHARE` of that, at most half of what the owner loses, and waits for `claimReward`.
    /// @param kind Of both statements, below 64.
    /// @param slot Of both statements.
    /// @param bodyA Hash of the first body.
    /// @param signatureA 65 bytes r‖s‖v, v 27 or 28, low s, over `statementDigest(kind, slot, bodyA)`.
    /// @param bodyB Hash of the second body.
    /// @param signatureB As `signatureA`, for `bodyB`.
    function equivocation(
        uint8 kind,
        bytes32 slot,
        bytes32 bodyA,
        bytes calldata signatureA,
        bytes32 bodyB,
        bytes calldata signatureB
    ) external;

    /// @notice Proves that something that a node has signed is false. Costs the same as an equivocation, and is
    /// rewarded in the same way. Reverts with an error that names the link that does not hold.
    /// @param evidence Canonical CBOR (RFC 8949), the very bytes that peers send to each other: an array of the
    /// fault's number and
    ///
    /// ```
    /// 2 BROKEN_SEQUENCE  earlier, later
    /// 5 FALSE_STEP       announcement, commitment, trace, model, public, step, number, row, [leaves], [pieces]
    /// 6 FALSE_START      announcement, commitment, trace, model, public, number, row, leaf, quantiles, [pieces]
    /// 7 NOT_FINITE       announcement, commitment, trace, step, part, size, number, [leaf], piece
    /// 8 STEP_COUNT       announcement, commitment
    /// 9 MALFORMED_TRACE  announcement, commitment, trace, model, public, step, part, [leaf], [tensor]
    /// 10 FALSE_VERDICT   verdict, refuted: the FALSE_STEP or FALSE_START that it would need
    /// ```
    ///
    /// `earlier`, `later`, `commitment` are envelopes; `announcement` is a body, whose digest is the commitment's
    /// task. `trace` is 96 bytes: hash of the source latent, root over the steps, hash of the last latent; `model`
    /// 76: root over the files, head, root over the rows. What stands in a tree is followed by its siblings from
    /// the leaf up: `public` (the half of the input) by the hash of the sealed half, `row` (40 bytes), `leaf` (96),
    /// `quantiles` (64), `piece` (128, the last what is left). The leaves of FALSE_STEP are of the step, of the
    /// next unless it is the last, of the one before if the row looks back; its pieces of the result, the latent,
    /// the output without the prompt if there is guidance, that with it, and of the step before the same. Those of
    /// FALSE_START are of the first latent, and of the source latent if there is a source. `part` is 0 for the
    /// latent (with `step` = units the last), 1 and 2 for the outputs, 3 for the source latent; the last and the
    /// source latent stand in no leaf. `tensor` is the 36 bytes under a tensor's hash, if its size is wrong.
    function proveFault(bytes calldata evidence) external;

    /// @notice Pays a reward to whose it is, once nobody can show a commitment any more. Anybody may.
    /// @param evidenceKey From `evidenceKeyOf` or `offenceKeyOf`.
    /// @return reward In wei of CAI.
    function claimReward(bytes32 evidenceKey) external returns (uint256 reward);

    /// @notice Optional, a few blocks before reporting: whoever copies the report then gains nothing.
    /// @param commitment From `commitmentOf`; it tells nobody what the evidence is.
    function commitEvidence(bytes32 commitment) external;

    /// @notice Takes the reward of an offence over from whoever reported it after the caller's commitment. What
    /// counts is the offence: whoever has shown it by another pair of statements has copied as well. The first quarter
    /// of `PRIORITY_BLOCKS` after the report is the reporter's: who had committed at least an eighth of them, at most
    /// 8 blocks, before its report keeps the reward for good, and may claim it at once. So nobody can commit to its
    /// own offence, let others report it, and take their reward.
    /// @param kind As committed to, and so on.
    /// @param slot Of both statements.
    /// @param bodyA Hash of the first body.
    /// @param signatureA Over the first statement.
    /// @param bodyB Hash of the second body.
    /// @param signatureB Over the second statement.
    /// @param salt As committed to.
    function takePriority(
        uint8 kind,
        bytes32 slot,
        bytes32 bodyA,
        bytes calldata signatureA,
        bytes32 bodyB,
        bytes calldata signatureB,
        bytes32 salt
    ) external;

    /// @notice Does the same for a fault. Somebody who has proved it of another step or number has copied as well.
    /// @param evidence As committed to.
    /// @param salt As committed to.
    function takeFaultPriority(bytes calldata evidence, bytes32 salt) external;

    /// @notice What `proveFault` would find; reverts as it does.
    /// @param evidence As for `proveFault`.
    /// @return fault Its number.
    /// @return signer The node key.
    /// @return slot Of the statement that is false: a commitment's is its task.
    function judgeFault(bytes calldata evidence)
        external
        view
        returns (uint8 fault, address signer, bytes32 slot);

    /// @notice The EIP-712 digest of `Statement(uint8 kind,bytes32 slot,bytes32 body)`.
    /// @param kind What sort of statement it is.
    /// @param slot The one thing about which a signer may say only one thing.
    /// @param body Hash of the body's bytes.
    function statementDigest(uint8 kind, bytes32 slot, bytes32 body) external view returns (bytes32);

    /// @notice Under which an equivocation is kept.
    /// @param signer The node key.
    /// @param kind Of its statements.
    /// @param slot Of its statements.
    function evidenceKeyOf(address signer, uint8 kind, bytes32 slot) external pure returns (bytes32);

    /// @notice Under which a fault is kept.
    /// @param fault Its number.
    /// @param signer The node key.
    /// @param slot Of the statement that is false.
    function offenceKeyOf(uint8 fault, address signer, bytes32 slot) external pure returns (bytes32);

    /// @notice Whether an equivocation has been punished.
    /// @param signer The node key.
    /// @param kind Of its statements.
    /// @param slot Of its statements.
    function isEvidenceSpent(address signer, uint8 kind, bytes32 slot) external view returns (bool);

    /// @notice A punished offence.
    /// @param evidenceKey From `evidenceKeyOf` or `offenceKeyOf`.
    function evidenceOf(bytes32 evidenceKey) external view returns (Evidence memory);

    /// @notice The hash of a piece of evidence, as it is committed to.
    /// @param kind Of both statements.
    /// @param slot Of both statements.
    /// @param bodyA Hash of the first body.
    /// @param signatureA Over the first statement.
    /// @param bodyB Hash of the second body.
    /// @param signatureB Over the second statement.
    function evidenceHashOf(
        uint8 kind,
        bytes32 slot,
        bytes32 bodyA,
        bytes calldata signatureA,
        bytes32 bodyB,
        bytes calldata signatureB
    ) external pure returns (bytes32);

    /// @notice What to commit to. Only who has the evidence can make it, and only `reporter` can use it.
    /// @param reporter Who commits.
    /// @param evidenceHash From `evidenceHashOf`; of a fault, Keccak-256 of the evidence.
    /// @param salt 32 random bytes.
    function commitmentOf(address reporter, bytes32 evidenceHash, bytes32 salt)
        external
        pure
        returns (bytes32);

    /// @notice The block of a commitment; 0 if there is none.
    /// @param commitment From `commitmentOf`.
    function committedAt(bytes32 commitment) external view returns (uint256);

    /// @notice The staking contract whose slasher this is.
    function STAKING() external view returns (address);

    /// @notice The part of a node's stake that an equivocation or a proved fault costs, in basis points.
    function EQUIVOCATION_PENALTY() external view returns (uint256);

    /// @notice The most of what is taken that is the reporter's, in basis points.
    function REPORTER_SHARE() external view returns (uint256);

    /// @notice Blocks for which a commitment holds, and for which a reward waits.
    function PRIORITY_BLOCKS() external view returns (uint256);
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {DisputeJuries} from "./DisputeJuries.sol";
import {ICAI} from "./interfaces/ICAI.sol";
import {Accusation, Ballot, Dispute, Fault, IDisputes, Phase} from "./interfaces/IDisputes.sol";
import {IStaking, JAIL_FOREVER} from "./interfaces/IStaking.sol";

/// @title Accusations that take judgement: a bond, a jury drawn by stake, signed votes, and the loser pays.
/// @notice Every phase has an end that anybody can bring about, so no bond is ever stuck. No owner.
contract Disputes is DisputeJuries, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @dev One slot: from bonds, which are held here, and from penalties, which staking holds.
    struct Credit {
        uint128 held;
        uint128 rewards;
    }

    /// @inheritdoc IDisputes
    uint256 public constant BOND = 1_000 ether;
    /// @inheritdoc IDisputes
    uint256 public constant MAX_EVIDENCE_BYTES = 8_192;
    /// @inheritdoc IDisputes
    uint256 public constant REWARD_SHARE = 2_000;
    /// @inheritdoc IDisputes
    uint256 public constant ABSENCE_PENALTY = 10;
    /// @inheritdoc IDisputes
    uint256 public constant NO_QUORUM_COST = 500 ether;

    uint256 private constant ABSENCE_REWARD_SHARE = 1_000;
    bytes32 private constant VOTE_TYPEHASH = keccak256("Vote(uint256 disputeId,bool guilty)");

    /// @inheritdoc IDisputes
    address public immutable TOKEN;
    /// @inheritdoc IDisputes
    uint256 public immutable MAX_AGE;
    /// @inheritdoc IDisputes
    uint256 public immutable DRAW_PERIOD;
    /// @inheritdoc IDisputes
    uint256 public immutable VOTE_PERIOD;

    /// @inheritdoc IDisputes
    mapping(bytes32 charge => uint256 disputeId) public convictionOf;

    /// @dev A charge and what is shown for it. An acquittal says that this was not enough, and no more.
    mapping(bytes32 trial => uint256 disputeId) private _latest;
    mapping(uint256 disputeId => Case) private _disputes;
    mapping(address account => Credit) private _credits;
    uint256 private _lastDisputeId;

    /// @param staking Must have been deployed with this contract's future address as its disputes.
    /// @param maxAge In seconds, of a fault when the dispute is opened.
    /// @param drawPeriod In seconds, in which somebody has to draw the jury.
    /// @param votePeriod In seconds. The three together are shorter than unbonding, so that whatever stake
    /// was there when the fault was committed is still there when the verdict comes.
    constructor(address staking, uint256 maxAge, uint256 drawPeriod, uint256 votePeriod)
        DisputeJuries(staking)
        EIP712("Cuckoo Disputes", "1")
    {
        address expected = IStaking(staking).DISPUTES();
        if (expected != address(this)) revert NotTheDisputes(expected);
        uint256 delay = IStaking(staking).UNBONDING_DELAY();
        bool zero = maxAge == 0 || drawPeriod == 0 || votePeriod == 0;
        // Saturating, so that no sum is too great to be refused.
        uint256 all = Math.saturatingAdd(Math.saturatingAdd(maxAge, drawPeriod), votePeriod);
        if (zero || all >= delay) {
            revert PeriodsOutOfBounds(maxAge, drawPeriod, votePeriod, delay);
        }
        TOKEN = IStaking(staking).TOKEN();
        MAX_AGE = maxAge;
        DRAW_PERIOD = drawPeriod;
        VOTE_PERIOD = votePeriod;
    }

    /// @inheritdoc IDisputes
    function openDispute(Accusation calldata accusation) external nonReentrant returns (uint256 disputeId) {
        uint32 reporterLeaf = _checkAccusation(accusation);
        bytes32 charge = chargeOf(accusation.accused, accusation.taskId, accusation.fault);
        uint256 latest = convictionOf[charge];
        if (latest != 0) revert AlreadyDisputed(latest);
        bytes32 trial = _trialOf(charge, accusation.committedAt, accusation.evidenceHash);
        latest = _latest[trial];
        // Nobody is tried twice for what was shown; a dispute that came to nothing was no trial.
        if (latest != 0 && _disputes[latest].phase != Phase.NoVerdict) revert AlreadyDisputed(latest);

        disputeId = ++_lastDisputeId;
        _latest[trial] = disputeId;
        Case storage dispute = _disputes[disputeId];
        dispute.charge = charge;
        dispute.reporter = msg.sender;
        dispute.deadline = SafeCast.toUint40(block.timestamp + DRAW_PERIOD);
        dispute.phase = Phase.Drawing;
        dispute.fault = accusation.fault;
        dispute.accused = accusation.accused;
        dispute.reporterLeaf = reporterLeaf;
        uint256 seedBlock = _awaitSeed(dispute);
        emit DisputeOpened(
            disputeId,
            accusation.accused,
            msg.sender,
            accusation.taskId,
            accusation.fault,
            accusation.committedAt,
            accusation.evidenceHash,
            accusation.evidence,
            seedBlock
        );
        IERC20(TOKEN).safeTransferFrom(msg.sender, address(this), BOND);
    }

    /// @inheritdoc IDisputes
    function drawJurors(uint256 disputeId) external nonReentrant {
        Case storage dispute = _inPhase(disputeId, Phase.Drawing);
        if (block.timestamp > dispute.deadline) revert Over(dispute.deadline);
        uint256 seedBlock = dispute.seedBlock;
        if (block.number <= seedBlock) revert SeedNotReady(seedBlock);
        bool missed = _seedIsMissed(dispute);
        uint32[] memory leaves;
        // While the lock is on: the weights are those of the seed block.
        if (!missed) leaves = _draw(disputeId, dispute);
        _stopWaiting();
        if (missed) {
            emit SeedMissed(disputeId, seedBlock);
            _awaitSeed(dispute);
            return;
        }
        if (leaves.length == 0) return _closeWithoutVerdict(disputeId, dispute, BOND);

        uint256 deadline = block.timestamp + VOTE_PERIOD;
        dispute.phase = Phase.Voting;
        dispute.deadline = SafeCast.toUint40(deadline);
        dispute.jurors = uint8(leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            dispute.leaves[i] = leaves[i];
        }
        emit JurorsDrawn(disputeId, _leavesOf(dispute), deadline);
    }

    /// @inheritdoc IDisputes
    function vote(uint256 disputeId, Ballot[] calldata ballots) external {
        _requireBatch(ballots.length);
        Case storage dispute = _inPhase(disputeId, Phase.Voting);
        if (block.timestamp > dispute.deadline) revert Over(dispute.deadline);
        (uint256 voted, uint256 votedGuilty) = (dispute.voted, dispute.votedGuilty);
        for (uint256 i = 0; i < ballots.length; ++i) {
            bool guilty = ballots[i].guilty;
            // ECDSA refuses a high s, a v other than 27 and 28, and the zero address.
            address juror = ECDSA.recoverCalldata(voteDigest(disputeId, guilty), ballots[i].signature);
            uint256 bit = 1 << _jurorIndex(disputeId, dispute, juror);
            // Somebody else may have submitted it meanwhile; that must not undo the rest.
            if (voted & bit != 0) continue;
            voted |= bit;
            if (guilty) votedGuilty |= bit;
            emit Voted(disputeId, juror, guilty);
        }
        dispute.voted = uint8(voted);
        dispute.votedGuilty = uint8(votedGuilty);
    }

    /// @inheritdoc IDisputes
    function closeDispute(uint256 disputeId) external nonReentrant {
        Case storage dispute = _disputes[disputeId];
        Phase phase = dispute.phase;
        if (phase != Phase.Drawing && phase != Phase.Voting) revert WrongPhase(disputeId, phase);
        uint256 jurors = dispute.jurors;
        uint256 votes = _count(dispute.voted);
        bool complete = phase == Phase.Voting && votes == jurors;
        if (!complete && block.timestamp <= dispute.deadline) revert NotOver(dispute.deadline);

        if (phase == Phase.Drawing) {
            _stopWaiting();
            return _closeWithoutVerdict(disputeId, dispute, BOND);
        }
        uint256 guilty = _count(dispute.votedGuilty);
        // More than half of the jury has to vote, and more than half of the votes decide.
        if (2 * votes <= jurors) return _closeWithoutVerdict(disputeId, dispute, BOND - NO_QUORUM_COST);
        if (2 * guilty == votes) return _closeWithoutVerdict(disputeId, dispute, BOND);
        if (2 * guilty > votes) return _convict(disputeId, dispute, guilty);
        _acquit(disputeId, dispute, votes - guilty);
    }

    /// @inheritdoc IDisputes
    function payJurors(uint256 disputeId, address[] calldata jurors) external nonReentrant {
        _requireBatch(jurors.length);
        Case storage dispute = _disputes[disputeId];
        Phase phase = dispute.phase;
        if (phase != Phase.Guilty && phase != Phase.NotGuilty) revert WrongPhase(disputeId, phase);
        uint256 votedGuilty = dispute.votedGuilty;
        uint256 entitled = phase == Phase.Guilty ? votedGuilty : dispute.voted & ~votedGuilty;
        uint256 amount = dispute.jurorReward;
        for (uint256 i = 0; i < jurors.length; ++i) {
            uint256 bit = 1 << _jurorIndex(disputeId, dispute, jurors[i]);
            uint256 closed = dispute.closed;
            if (amount == 0 || entitled & bit == 0 || closed & bit != 0) {
                revert NoJurorReward(disputeId, jurors[i]);
            }
            dispute.closed = uint8(closed | bit);
            address owner = IStaking(STAKING).ownerOf(jurors[i]);
            emit JurorPaid(disputeId, jurors[i], owner, amount);
            if (phase == Phase.Guilty) IStaking(STAKING).payReward(owner, amount);
            else IERC20(TOKEN).safeTransfer(owner, amount);
        }
    }

    /// @inheritdoc IDisputes
    function punishAbsent(uint256 disputeId, address[] calldata jurors) external nonReentrant {
        _requireBatch(jurors.length);
        Case storage dispute = _disputes[disputeId];
        // Without a verdict nobody knows whether there was anything to judge: accusations are cheap to invent.
        Phase phase = dispute.phase;
        if (phase != Phase.Guilty && phase != Phase.NotGuilty) revert WrongPhase(disputeId, phase);
        IStaking staking = IStaking(STAKING);
        uint256 voted = dispute.voted;
        uint256 rewards = 0;
        for (uint256 i = 0; i < jurors.length; ++i) {
            uint256 bit = 1 << _jurorIndex(disputeId, dispute, jurors[i]);
            uint256 closed = dispute.closed;
            if ((voted | closed) & bit != 0) continue;
            dispute.closed = uint8(closed | bit);
            (uint256 taken, uint256 reward) =
                staking.slash(jurors[i], ABSENCE_PENALTY, ABSENCE_REWARD_SHARE, 0);
            rewards += reward;
            emit JurorAbsent(disputeId, jurors[i], taken, reward);
        }
        if (rewards != 0) staking.payReward(msg.sender, rewards);
    }

    /// @inheritdoc IDisputes
    function payCredit(address account) external nonReentrant returns (uint256 amount) {
        Credit memory credit = _credits[account];
        amount = uint256(credit.held) + credit.rewards;
        if (amount == 0) revert NothingToPay(account);
        delete _credits[account];
        emit CreditPaid(account, credit.held, credit.rewards);
        if (credit.held != 0) IERC20(TOKEN).safeTransfer(account, credit.held);
        if (credit.rewards != 0) IStaking(STAKING).payReward(account, credit.rewards);
    }

    /// @inheritdoc IDisputes
    function disputeOf(uint256 disputeId) external view returns (Dispute memory) {
        Case storage dispute = _disputes[disputeId];
        return Dispute({
            phase: dispute.phase,
            fault: dispute.fault,
            reporter: dispute.reporter,
            accused: dispute.accused,
            seedBlock: dispute.seedBlock,
            deadline: dispute.deadline,
            jurorLeaves: _leavesOf(dispute),
            voted: dispute.voted,
            votedGuilty: dispute.votedGuilty,
            closed: dispute.closed,
            jurorReward: dispute.jurorReward
        });
    }

    /// @inheritdoc IDisputes
    function creditOf(address account) external view returns (uint256 held, uint256 rewards) {
        Credit storage credit = _credits[account];
        return (credit.held, credit.rewards);
    }

    /// @inheritdoc IDisputes
    function latestDispute(bytes32 charge, uint256 committedAt, bytes32 evidenceHash)
        external
        view
        returns (uint256)
    {
        return _latest[_trialOf(charge, committedAt, evidenceHash)];
    }

    /// @inheritdoc IDisputes
    function voteDigest(uint256 disputeId, bool guilty) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(VOTE_TYPEHASH, disputeId, guilty)));
    }

    /// @inheritdoc IDisputes
    function chargeOf(address accused, bytes32 taskId, Fault fault) public pure returns (bytes32) {
        return keccak256(abi.encode(accused, taskId, fault));
    }

    /// @inheritdoc IDisputes
    function penaltyOf(Fault fault) public pure returns (uint256 fraction, uint256 jailSeconds) {
        if (fault == Fault.FalseResult) return (10_000, JAIL_FOREVER);
        if (fault == Fault.WithheldOpening) return (1_000, 1 days);
        return (100, 0);
    }

    /// @dev Reverts unless the accusation can be tried; returns the leaf of the reporter's node.
    function _checkAccusation(Accusation calldata accusation) private view returns (uint32 reporterLeaf) {
        IStaking staking = IStaking(STAKING);
        if (accusation.fault == Fault.None || staking.ownerOf(accusation.accused) == address(0)) {
            revert NoSuchAccusation(accusation.accused, accusation.fault);
        }
        uint256 committedAt = accusation.committedAt;
        if (committedAt > block.timestamp || block.timestamp - committedAt > MAX_AGE) {
            revert AgeOutOfBounds(committedAt);
        }
        uint256 length = accusation.evidence.length;
        if (length > MAX_EVIDENCE_BYTES) revert EvidenceTooLong(length, MAX_EVIDENCE_BYTES);
        bytes32 expected = length == 0 ? accusation.evidenceHash : keccak256(accusation.evidence);
        if (expected == 0 || accusation.evidenceHash != expected) revert WrongEvidenceHash(expected);
        address node = accusation.reporterNode;
        if (node == address(0)) return staking.leafOf(accusation.accused);
        if (staking.ownerOf(node) != msg.sender) revert NotTheReportersNode(node);
        return staking.leafOf(node);
    }

    /// @dev The reporter and the jurors who convicted share a part of the penalty, half each.
    function _convict(uint256 disputeId, Case storage dispute, uint256 majority) private {
        // Somebody else has shown it meanwhile, and one fault costs once.
        bytes32 charge = dispute.charge;
        if (convictionOf[charge] != 0) return _closeWithoutVerdict(disputeId, dispute, BOND);
        convictionOf[charge] = disputeId;
        dispute.phase = Phase.Guilty;
        (uint256 fraction, uint256 jailSeconds) = penaltyOf(dispute.fault);
        IStaking staking = IStaking(STAKING);
        (uint256 taken, uint256 reward) = staking.slash(dispute.accused, fraction, REWARD_SHARE, jailSeconds);
        uint256 jurorReward = reward / 2 / majority;
        uint256 reporterReward = reward - jurorReward * majority;
        dispute.jurorReward = SafeCast.toUint96(jurorReward);
        _credit(dispute.reporter, BOND, reporterReward);
        emit DisputeClosed(disputeId, Phase.Guilty, taken, BOND, reporterReward, jurorReward);
    }

    /// @dev The jurors who acquitted and the owner of the accused share the bond, half each.
    function _acquit(uint256 disputeId, Case storage dispute, uint256 majority) private {
        dispute.phase = Phase.NotGuilty;
        uint256 jurorReward = BOND / 2 / majority;
        dispute.jurorReward = SafeCast.toUint96(jurorReward);
        _credit(IStaking(STAKING).ownerOf(dispute.accused), BOND - jurorReward * majority, 0);
        emit DisputeClosed(disputeId, Phase.NotGuilty, 0, 0, 0, jurorReward);
    }

    /// @dev What of the bond does not go back is burned: nobody gains by a jury that does not come together.
    function _closeWithoutVerdict(uint256 disputeId, Case storage dispute, uint256 bond) private {
        dispute.phase = Phase.NoVerdict;
        _credit(dispute.reporter, bond, 0);
        emit DisputeClosed(disputeId, Phase.NoVerdict, 0, bond, 0, 0);
        if (bond != BOND) ICAI(TOKEN).burn(BOND - bond);
    }

    function _credit(address account, uint256 held, uint256 rewards) private {
        Credit storage credit = _credits[account];
        credit.held += SafeCast.toUint128(held);
        credit.rewards += SafeCast.toUint128(rewards);
    }

    function _inPhase(uint256 disputeId, Phase phase) private view returns (Case storage dispute) {
        dispute = _disputes[disputeId];
        if (dispute.phase != phase) revert WrongPhase(disputeId, dispute.phase);
    }

    function _leavesOf(Case storage dispute) private view returns (uint256[] memory leaves) {
        leaves = new uint256[](dispute.jurors);
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = dispute.leaves[i];
        }
    }

    function _trialOf(bytes32 charge, uint256 committedAt, bytes32 evidenceHash)
        private
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(charge, committedAt, evidenceHash));
    }

    function _requireBatch(uint256 count) private pure {
        if (count == 0 || count > JURORS) revert BatchOutOfBounds(count, JURORS);
    }

    /// @dev How many bits are set.
    function _count(uint256 set) private pure returns (uint256 count) {
        for (; set != 0; set &= set - 1) {
            ++count;
        }
    }
}

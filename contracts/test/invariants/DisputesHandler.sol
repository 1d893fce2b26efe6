// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {DevelopmentCAI} from "../../src/DevelopmentCAI.sol";
import {Accusation, Ballot, Dispute, Fault, IDisputes, Phase} from "../../src/interfaces/IDisputes.sol";
import {IStaking} from "../../src/interfaces/IStaking.sol";

/// @notice Reporters, juries that vote anyhow or not at all, and everybody who closes, pays and punishes.
contract DisputesHandler is Base {
    uint256 internal constant NODES = 9;
    uint256 internal constant TASKS = 3;
    address internal constant REPORTER = address(0x4E904);

    IDisputes internal immutable DISPUTES;
    IStaking internal immutable STAKING;
    DevelopmentCAI internal immutable TOKEN;

    uint256 public opened;
    mapping(address accused => mapping(uint256 task => uint256)) public verdicts;
    mapping(address node => uint256) public lost;
    mapping(address node => uint256) public mayLose;
    mapping(uint256 disputeId => bool) public namesReportersNode;
    mapping(uint256 disputeId => bytes32 charge) public chargeBy;
    mapping(bytes32 charge => bool) public convicted;
    mapping(uint256 disputeId => uint256 task) internal _taskOf;
    /// @dev One charge by two verdicts, or an absence without one.
    bool public punishedTwice;
    bool public punishedWithoutVerdict;
    mapping(uint256 disputeId => mapping(address node => bool)) internal _punished;
    address[] internal _nodes;

    constructor(DevelopmentCAI token, IDisputes disputes, IStaking staking) {
        (TOKEN, DISPUTES, STAKING) = (token, disputes, staking);
        for (uint256 i = 0; i < NODES; ++i) {
            _nodes.push(vm.addr(nodeKey(i)));
        }
        vm.prank(REPORTER);
        token.approve(address(disputes), type(uint256).max);
    }

    function open(uint256 seed, uint256 task, uint8 fault, uint256 reportersSeed) external {
        address accused = node(seed);
        // Rarely the fault that takes everything, or soon nobody is left.
        Fault what = Fault(fault % 16 == 0 ? 1 : 2 + fault % 2);
        openAbout(accused, task, what, fault, reportersSeed % 2 == 0);
    }

    /// @dev The same charge by other evidence while the first trial goes on.
    function openAgain(uint256 seed, uint8 evidence) public {
        uint256 disputeId = pick(seed);
        if (disputeId == 0 || phaseOf(disputeId) > Phase.Voting) return;
        Dispute memory dispute = DISPUTES.disputeOf(disputeId);
        openAbout(dispute.accused, _taskOf[disputeId], dispute.fault, evidence, false);
    }

    function openAbout(address accused, uint256 task, Fault what, uint8 fault, bool namesNode) internal {
        bytes32 charge = DISPUTES.chargeOf(accused, taskId(task), what);
        bytes32 evidenceHash = keccak256(abi.encode("evidence", fault % 3));
        uint256 latest = DISPUTES.latestDispute(charge, vm.getBlockTimestamp() - fault, evidenceHash);
        if (DISPUTES.convictionOf(charge) != 0) return;
        if (latest != 0 && phaseOf(latest) != Phase.NoVerdict) return;
        Accusation memory said = Accusation({
            accused: accused,
            taskId: taskId(task),
            fault: what,
            committedAt: vm.getBlockTimestamp() - fault,
            evidenceHash: evidenceHash,
            evidence: "",
            reporterNode: namesNode ? reporterNode() : address(0)
        });
        vm.prank(REPORTER);
        DISPUTES.openDispute(said);
        ++opened;
        chargeBy[opened] = charge;
        _taskOf[opened] = task;
        namesReportersNode[opened] = said.reporterNode != address(0);
    }

    /// @dev Two trials of one charge, at once, and both juries convict.
    function convictTwice(uint256 seed, uint8 evidence, bytes32 hash) external {
        uint256 first = pick(seed);
        if (first == 0 || phaseOf(first) != Phase.Drawing) return;
        uint256 before = opened;
        openAgain(seed, evidence);
        if (opened == before) return;
        uint256 second = opened;
        drawOne(first, 1, hash);
        drawOne(second, 1, hash);
        voteGuilty(first);
        voteGuilty(second);
        closeOne(first);
        closeOne(second);
    }

    function draw(uint256 seed, uint256 blocks, bytes32 hash) external {
        uint256 disputeId = pick(seed);
        if (disputeId != 0) drawOne(disputeId, blocks, hash);
    }

    function drawOne(uint256 disputeId, uint256 blocks, bytes32 hash) internal {
        if (phaseOf(disputeId) != Phase.Drawing) return;
        Dispute memory dispute = DISPUTES.disputeOf(disputeId);
        if (vm.getBlockTimestamp() > dispute.deadline) return;
        // One time in eight nobody comes while the hash can be read.
        blocks = blocks % 8 == 0 ? 300 : 1 + blocks % 200;
        if (vm.getBlockNumber() < dispute.seedBlock + blocks) vm.roll(dispute.seedBlock + blocks);
        vm.setBlockhash(dispute.seedBlock, hash);
        DISPUTES.drawJurors(disputeId);
    }

    function vote(uint256 seed, uint256 juror, bool guilty, bool all) external {
        uint256 disputeId = pick(seed);
        if (disputeId == 0 || phaseOf(disputeId) != Phase.Voting) return;
        Dispute memory dispute = DISPUTES.disputeOf(disputeId);
        if (vm.getBlockTimestamp() > dispute.deadline) return;
        uint256 count = dispute.jurorLeaves.length;
        Ballot[] memory ballots = new Ballot[](all ? count : 1);
        for (uint256 i = 0; i < ballots.length; ++i) {
            uint256 key = keyOfLeaf(dispute.jurorLeaves[(i + juror % count) % count]);
            bool says = guilty != (all && i % 3 == 2);
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, DISPUTES.voteDigest(disputeId, says));
            ballots[i] = Ballot(says, abi.encodePacked(r, s, v));
        }
        DISPUTES.vote(disputeId, ballots);
    }

    /// @dev All for guilty, where a jury sits.
    function voteGuilty(uint256 disputeId) internal {
        if (phaseOf(disputeId) != Phase.Voting) return;
        Dispute memory dispute = DISPUTES.disputeOf(disputeId);
        if (vm.getBlockTimestamp() > dispute.deadline || dispute.voted != 0) return;
        Ballot[] memory ballots = new Ballot[](dispute.jurorLeaves.length);
        for (uint256 i = 0; i < ballots.length; ++i) {
            uint256 key = keyOfLeaf(dispute.jurorLeaves[i]);
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, DISPUTES.voteDigest(disputeId, true));
            ballots[i] = Ballot(true, abi.encodePacked(r, s, v));
        }
        DISPUTES.vote(disputeId, ballots);
    }

    /// @dev All but one, half of them for guilty: enough for a quorum and not for a majority.
    function voteEvenly(uint256 seed) external {
        uint256 disputeId = pick(seed);
        if (disputeId == 0 || phaseOf(disputeId) != Phase.Voting) return;
        Dispute memory dispute = DISPUTES.disputeOf(disputeId);
        if (vm.getBlockTimestamp() > dispute.deadline || dispute.voted != 0) return;
        Ballot[] memory ballots = new Ballot[](dispute.jurorLeaves.length - 1);
        for (uint256 i = 0; i < ballots.length; ++i) {
            uint256 key = keyOfLeaf(dispute.jurorLeaves[i]);
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, DISPUTES.voteDigest(disputeId, i % 2 == 0));
            ballots[i] = Ballot(i % 2 == 0, abi.encodePacked(r, s, v));
        }
        DISPUTES.vote(disputeId, ballots);
    }

    function close(uint256 seed) external {
        uint256 disputeId = pick(seed);
        if (disputeId != 0) closeOne(disputeId);
    }

    /// @dev As soon as it can be; books what the verdict may take.
    function closeOne(uint256 disputeId) public {
        Dispute memory dispute = DISPUTES.disputeOf(disputeId);
        if (dispute.phase != Phase.Drawing && dispute.phase != Phase.Voting) return;
        bool complete =
            dispute.phase == Phase.Voting && dispute.voted == (1 << dispute.jurorLeaves.length) - 1;
        if (!complete && vm.getBlockTimestamp() <= dispute.deadline) return;
        uint256 before = slashable(dispute.accused);
        DISPUTES.closeDispute(disputeId);
        lost[dispute.accused] += before - slashable(dispute.accused);
        if (phaseOf(disputeId) != Phase.Guilty) return;
        if (convicted[chargeBy[disputeId]]) punishedTwice = true;
        convicted[chargeBy[disputeId]] = true;
        (uint256 fraction,) = DISPUTES.penaltyOf(dispute.fault);
        mayLose[dispute.accused] += before * fraction / 10_000;
    }

    /// @dev Tries with any juror; the contract decides.
    function payJuror(uint256 seed, uint256 juror) external {
        uint256 disputeId = pick(seed);
        if (disputeId == 0) return;
        address[] memory jurors = new address[](1);
        jurors[0] = node(juror);
        (bool accepted,) = address(DISPUTES).call(abi.encodeCall(DISPUTES.payJurors, (disputeId, jurors)));
        accepted;
    }

    function punishAbsent(uint256 seed, uint256 juror) external {
        uint256 disputeId = pick(seed);
        if (disputeId == 0) return;
        address[] memory jurors = new address[](1);
        jurors[0] = node(juror);
        uint256 before = slashable(jurors[0]);
        (bool accepted,) = address(DISPUTES).call(abi.encodeCall(DISPUTES.punishAbsent, (disputeId, jurors)));
        accepted;
        uint256 taken = before - slashable(jurors[0]);
        lost[jurors[0]] += taken;
        Phase phase = phaseOf(disputeId);
        if (taken != 0 && phase != Phase.Guilty && phase != Phase.NotGuilty) punishedWithoutVerdict = true;
        if (_punished[disputeId][jurors[0]] || !isAbsent(disputeId, jurors[0])) return;
        _punished[disputeId][jurors[0]] = true;
        mayLose[jurors[0]] += before / 1_000;
    }

    /// @dev A juror of a dispute that is over, without a vote.
    function isAbsent(uint256 disputeId, address juror) internal view returns (bool) {
        Dispute memory dispute = DISPUTES.disputeOf(disputeId);
        if (dispute.phase != Phase.Guilty && dispute.phase != Phase.NotGuilty) return false;
        for (uint256 i = 0; i < dispute.jurorLeaves.length; ++i) {
            if (dispute.jurorLeaves[i] == STAKING.leafOf(juror)) return dispute.voted >> i & 1 == 0;
        }
        return false;
    }

    function payCredit(uint256 seed) external {
        address account = seed % 3 == 0 ? REPORTER : STAKING.ownerOf(node(seed));
        (uint256 held, uint256 rewards) = DISPUTES.creditOf(account);
        if (held + rewards != 0) DISPUTES.payCredit(account);
    }

    function wait(uint256 seconds_) external {
        vm.warp(vm.getBlockTimestamp() + bound(seconds_, 1 hours, 30 hours));
        vm.roll(vm.getBlockNumber() + 1);
    }

    function taskId(uint256 task) public pure returns (bytes32) {
        return bytes32(1 + task % TASKS);
    }

    function phaseOf(uint256 disputeId) public view returns (Phase) {
        return DISPUTES.disputeOf(disputeId).phase;
    }

    function slashable(address node_) public view returns (uint256) {
        return STAKING.nodeInfo(node_).totalStake;
    }

    function pick(uint256 seed) internal view returns (uint256) {
        return opened == 0 ? 0 : 1 + seed % opened;
    }

    function keyOfLeaf(uint256 leaf) internal view returns (uint256) {
        for (uint256 i = 0; i < NODES; ++i) {
            if (STAKING.leafOf(_nodes[i]) == leaf) return nodeKey(i);
        }
        revert("a juror that is no node");
    }

    function nodeKey(uint256 seed) public pure returns (uint256) {
        return 0xD15900 + seed % NODES;
    }

    function node(uint256 seed) public view returns (address) {
        return _nodes[seed % NODES];
    }

    function reporterNode() public view returns (address) {
        return _nodes[0];
    }

    function reporter() external pure returns (address) {
        return REPORTER;
    }

    function nodes() external pure returns (uint256) {
        return NODES;
    }
}

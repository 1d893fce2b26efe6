// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "../Fixture.sol";
import {Role} from "../../src/interfaces/INodeRegistry.sol";
import {ISlashing} from "../../src/interfaces/ISlashing.sol";
import {IStaking, JAIL_FOREVER} from "../../src/interfaces/IStaking.sol";
import {Base} from "../Base.sol";

/// @notice Nodes that sign few different statements, and a reporter who tries every pair of them.
contract SlashingHandler is Base {
    uint256 internal constant NODES = 4;

    IStaking internal immutable STAKING;
    ISlashing internal immutable SLASHING;
    address[] internal _nodes;

    mapping(bytes32 evidenceKey => uint256) public spent;
    mapping(bytes32 evidenceKey => uint256) public reward;
    mapping(bytes32 evidenceKey => uint256) public paid;
    bytes32[] internal _keys;
    uint256 public claimedTooOften;
    mapping(address node => bool) public everTwoBodies;
    bool public acceptedWrongly;
    bool public refusedWrongly;
    /// @dev The reward changed hands where it must not, or not where it must.
    bool public priorityWasWrong;

    /// @dev Pairs of statements that were committed to, in their order, and in which block first.
    Said[2][] internal _committed;
    mapping(bytes32 evidenceHash => uint256 blockNumber) internal _committedAt;
    /// @dev Since when the reward is whose it is.
    mapping(bytes32 evidenceKey => uint256 blockNumber) internal _since;

    constructor(IStaking staking, ISlashing slashing) {
        STAKING = staking;
        SLASHING = slashing;
        for (uint256 i = 0; i < NODES; ++i) {
            _nodes.push(vm.addr(key_(i)));
        }
    }

    struct Said {
        uint256 who;
        uint8 kind;
        bytes32 slot;
        bytes32 body;
    }

    /// @dev The second statement differs from the first in each field one time in four.
    function report(Said memory a, Said memory b, uint8 differences) external {
        a = Said(a.who % NODES, kindOf(a.kind), bytes32(uint256(a.slot) % 2), bytes32(uint256(a.body) % 3));
        b.who = differences & 3 == 0 ? b.who % NODES : a.who;
        b.kind = differences & 12 == 0 ? kindOf(b.kind) : a.kind;
        b.slot = differences & 48 == 0 ? bytes32(uint256(b.slot) % 2) : a.slot;
        b.body = differences & 192 == 0 ? a.body : bytes32(uint256(b.body) % 3);

        submitAndBook(a, b);
    }

    /// @dev Of those committed to, so that somebody has a claim to it.
    function reportCommitted(uint256 seed) external {
        if (_committed.length == 0) return;
        Said[2] memory pair = _committed[seed % _committed.length];
        submitAndBook(pair[0], pair[1]);
    }

    function submitAndBook(Said memory a, Said memory b) internal {
        bool isEvidence = a.who == b.who && a.kind == b.kind && a.slot == b.slot && a.body != b.body;
        bytes32 key = keccak256(abi.encode(node(a.who), a.kind, a.slot));
        bool expected = isEvidence && a.kind < 64 && spent[key] == 0;
        bool accepted = submit(a, b);
        if (accepted && !expected) acceptedWrongly = true;
        if (!accepted && expected) refusedWrongly = true;
        if (!accepted) return;
        ++spent[key];
        _since[key] = vm.getBlockNumber();
        reward[key] = SLASHING.evidenceOf(key).reward;
        _keys.push(key);
        everTwoBodies[node(a.who)] = true;
    }

    /// @dev Commits now and takes the reward over if the evidence is reported later by somebody else.
    function commit(Said memory a, bytes32 otherBody) external {
        (Said memory first, Said memory second) = twoBodies(a, otherBody);
        bytes32 evidenceHash = hashOf(first, second);
        if (_committedAt[evidenceHash] == 0) {
            _committedAt[evidenceHash] = vm.getBlockNumber();
            _committed.push();
            (_committed[_committed.length - 1][0], _committed[_committed.length - 1][1]) = (first, second);
        }
        SLASHING.commitEvidence(SLASHING.commitmentOf(address(this), evidenceHash, bytes32(0)));
    }

    function hashOf(Said memory first, Said memory second) internal view returns (bytes32) {
        return SLASHING.evidenceHashOf(
            first.kind, first.slot, first.body, signatureOf(first), second.body, signatureOf(second)
        );
    }

    /// @dev Tries, also where it must be refused. Whoever has it, the reward stays the same.
    function takePriority(uint256 seed) external {
        if (_committed.length == 0) return;
        Said[2] memory pair = _committed[seed % _committed.length];
        (Said memory first, Said memory second) = (pair[0], pair[1]);
        bytes32 key = keccak256(abi.encode(node(first.who), first.kind, first.slot));
        uint256 committed = _committedAt[hashOf(first, second)];
        bool isOffence = first.body != second.body && spent[key] != 0;
        bool isFirst = committed < _since[key];
        bool inTime = vm.getBlockNumber() <= committed + SLASHING.PRIORITY_BLOCKS();
        bytes memory call = abi.encodeCall(
            ISlashing.takePriority,
            (
                first.kind,
                first.slot,
                first.body,
                signatureOf(first),
                second.body,
                signatureOf(second),
                bytes32(0)
            )
        );
        (bool taken,) = address(SLASHING).call(call);
        if (taken != (isOffence && isFirst && inTime)) priorityWasWrong = true;
        // Who had committed eight blocks before its report keeps the reward.
        if (taken) _since[key] = committed + 8 <= _since[key] ? 0 : committed;
    }

    function twoBodies(Said memory a, bytes32 otherBody)
        internal
        pure
        returns (Said memory first, Said memory second)
    {
        first = Said(
            a.who % NODES, kindOf(a.kind), bytes32(uint256(a.slot) % 2), bytes32(uint256(a.body) % 3)
        );
        second = Said(first.who, first.kind, first.slot, bytes32(uint256(otherBody) % 3));
    }

    function claim(uint256 seed, uint256 blocks) external {
        vm.roll(vm.getBlockNumber() + 1 + blocks % 300);
        if (_keys.length == 0) return;
        bytes32 key = _keys[seed % _keys.length];
        (bool accepted, bytes memory result) =
            address(SLASHING).call(abi.encodeCall(ISlashing.claimReward, (key)));
        if (accepted) paid[key] += abi.decode(result, (uint256));
        if (paid[key] > reward[key]) ++claimedTooOften;
    }

    function owed() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _keys.length; ++i) {
            sum += reward[_keys[i]] - paid[_keys[i]];
        }
    }

    function unclaimed() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _keys.length; ++i) {
            sum += SLASHING.evidenceOf(_keys[i]).reward;
        }
    }

    function count() external view returns (uint256) {
        return _keys.length;
    }

    /// @dev A report can name only one kind and slot; it names the first statement's.
    function submit(Said memory a, Said memory b) internal returns (bool accepted) {
        bytes memory call = abi.encodeCall(
            ISlashing.equivocation, (a.kind, a.slot, a.body, signatureOf(a), b.body, signatureOf(b))
        );
        (accepted,) = address(SLASHING).call(call);
    }

    function signatureOf(Said memory said) internal view returns (bytes memory) {
        bytes32 digest = SLASHING.statementDigest(said.kind, said.slot, said.body);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key_(said.who), digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev Few, so that evidences meet; on both sides of the bound of what is slashable.
    function kindOf(uint8 seed) internal pure returns (uint8) {
        return seed % 5 < 2 ? seed % 5 : 61 + seed % 5;
    }

    function key_(uint256 index) public pure returns (uint256) {
        return 0xBEEF00 + index % NODES;
    }

    function node(uint256 index) public view returns (address) {
        return _nodes[index % NODES];
    }

    function nodes() external pure returns (uint256) {
        return NODES;
    }
}

/// @notice Whatever pairs of statements are reported, only two different ones for one slot slash.
contract SlashingInvariants is Fixture {
    SlashingHandler internal handler;

    function setUp() public override {
        super.setUp();
        handler = new SlashingHandler(staking, slashing);
        for (uint256 i = 0; i < handler.nodes(); ++i) {
            registerAs(Role.Miner, handler.key_(i), OWNER, MINER_STAKE);
        }
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// @dev One campaign for all of them, as each would make the same calls again.
    function invariant_all() external view {
        evidence_is_two_bodies_for_one_slot_and_counts_once();
        only_equivocators_lose_stake_and_they_lose_all();
        each_evidence_pays_once_and_what_it_was_worth();
    }

    function evidence_is_two_bodies_for_one_slot_and_counts_once() internal view {
        vm.assertTrue(!handler.acceptedWrongly(), "nothing else slashes");
        vm.assertTrue(!handler.refusedWrongly(), "and that always does");
        vm.assertTrue(!handler.priorityWasWrong(), "whoever committed first");
    }

    function only_equivocators_lose_stake_and_they_lose_all() internal view {
        for (uint256 i = 0; i < handler.nodes(); ++i) {
            address node_ = handler.node(i);
            bool guilty = handler.everTwoBodies(node_);
            vm.assertEq(staking.nodeInfo(node_).jailedUntil, guilty ? JAIL_FOREVER : 0, "jailed");
            vm.assertEq(staking.nodeInfo(node_).totalStake, guilty ? 0 : MINER_STAKE, "stake");
        }
    }

    function each_evidence_pays_once_and_what_it_was_worth() internal view {
        vm.assertEq(handler.claimedTooOften(), 0, "once");
        vm.assertEq(handler.owed(), handler.unclaimed(), "the rest is still to be claimed");
        uint256 held = staking.owedTo(address(slashing));
        vm.assertGe(held, handler.unclaimed(), "and staking has it");
        // Rewards count in whole micro-CAI; what is below stays.
        vm.assertLe(held, handler.unclaimed() + handler.count() * 1e12, "and hardly more");
    }
}

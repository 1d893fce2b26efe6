// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "../Fixture.sol";
import {Slashing} from "../../src/Slashing.sol";
import {Staking} from "../../src/Staking.sol";
import {Role} from "../../src/interfaces/INodeRegistry.sol";
import {ISlashing} from "../../src/interfaces/ISlashing.sol";
import {Base} from "../Base.sol";

/// @notice Nodes that sign few different statements, and a reporter who tries every pair of them.
contract SlashingHandler is Base {
    uint256 internal constant NODES = 4;

    Staking internal immutable STAKING;
    Slashing internal immutable SLASHING;
    address[] internal _nodes;

    mapping(bytes32 evidenceKey => uint256) public paid;
    mapping(address node => bool) public everTwoBodies;
    bool public acceptedWrongly;
    bool public refusedWrongly;

    constructor(Staking staking, Slashing slashing) {
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
        a = Said(a.who % NODES, a.kind % 66, bytes32(uint256(a.slot) % 2), bytes32(uint256(a.body) % 3));
        b.who = differences & 3 == 0 ? b.who % NODES : a.who;
        b.kind = differences & 12 == 0 ? b.kind % 66 : a.kind;
        b.slot = differences & 48 == 0 ? bytes32(uint256(b.slot) % 2) : a.slot;
        b.body = differences & 192 == 0 ? a.body : bytes32(uint256(b.body) % 3);

        bool isEvidence = a.who == b.who && a.kind == b.kind && a.slot == b.slot && a.body != b.body;
        bytes32 key = keccak256(abi.encode(node(a.who), a.kind, a.slot));
        bool expected = isEvidence && a.kind < 64 && paid[key] == 0;
        bool accepted = submit(a, b);
        if (accepted && !expected) acceptedWrongly = true;
        if (!accepted && expected) refusedWrongly = true;
        if (!accepted) return;
        ++paid[key];
        everTwoBodies[node(a.who)] = true;
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

    /// forge-config: default.invariant.depth = 40
    function invariant_evidence_is_two_bodies_for_one_slot_and_counts_once() external view {
        vm.assertTrue(!handler.acceptedWrongly(), "nothing else slashes");
        vm.assertTrue(!handler.refusedWrongly(), "and that always does");
    }

    /// forge-config: default.invariant.depth = 40
    function invariant_only_equivocators_lose_stake_and_they_lose_all() external view {
        uint256 taken = 0;
        for (uint256 i = 0; i < handler.nodes(); ++i) {
            address node_ = handler.node(i);
            bool guilty = handler.everTwoBodies(node_);
            vm.assertTrue((staking.nodeInfo(node_).jailedUntil != 0) == guilty, "jailed");
            vm.assertEq(staking.nodeInfo(node_).totalStake, guilty ? 0 : MINER_STAKE, "stake");
            if (guilty) taken += MINER_STAKE;
        }
        vm.assertEq(token.balanceOf(address(handler)), taken / 10, "each stake pays once");
    }
}

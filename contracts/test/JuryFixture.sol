// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {NetworkFixture} from "./NetworkFixture.sol";
import {Accusation, Ballot, Fault, Phase} from "../src/interfaces/IDisputes.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";

/// @notice Enough nodes for a jury, an accused miner, and a reporter with money for the bond.
abstract contract JuryFixture is NetworkFixture {
    uint256 internal constant PEERS = 12;
    uint256 internal constant BOND = 1_000 ether;
    bytes32 internal constant TASK = keccak256("task");
    bytes32 internal constant EVIDENCE_HASH = keccak256("evidence");

    uint256[] internal peerKeys;

    function setUp() public virtual override {
        super.setUp();
        registerMiner();
        for (uint256 i = 0; i < peers(); ++i) {
            uint256 key = 0x9000 + i;
            address owner = peerOwner(key);
            fund(owner);
            registerAs(Role.Miner, key, owner, MINER_STAKE + i * 1_000 ether);
            peerKeys.push(key);
        }
        fund(REPORTER);
        vm.prank(REPORTER);
        token.approve(address(disputes), type(uint256).max);
        vm.roll(vm.getBlockNumber() + 1);
    }

    function peers() internal pure virtual returns (uint256) {
        return PEERS;
    }

    function peerOwner(uint256 key) internal pure returns (address) {
        return address(uint160(key << 32));
    }

    function accusation(Fault fault) internal view returns (Accusation memory) {
        return Accusation({
            accused: node,
            taskId: TASK,
            fault: fault,
            committedAt: vm.getBlockTimestamp(),
            evidenceHash: EVIDENCE_HASH,
            evidence: "",
            reporterNode: address(0)
        });
    }

    function accusationAbout(Fault fault, bytes32 task) internal view returns (Accusation memory said) {
        said = accusation(fault);
        said.taskId = task;
    }

    function open(Accusation memory said) internal returns (uint256 disputeId) {
        vm.prank(REPORTER);
        return disputes.openDispute(said);
    }

    function open(Fault fault) internal returns (uint256 disputeId) {
        return open(accusation(fault));
    }

    /// @dev The hash is another one for each value, so that tests see many juries.
    function draw(uint256 disputeId, bytes32 seed) internal {
        uint256 seedBlock = disputes.disputeOf(disputeId).seedBlock;
        vm.roll(seedBlock + 1);
        vm.setBlockhash(seedBlock, seed);
        disputes.drawJurors(disputeId);
    }

    function openAndDraw(Fault fault) internal returns (uint256 disputeId) {
        disputeId = open(fault);
        draw(disputeId, keccak256("seed"));
    }

    /// @dev The keys of the jurors, in their order.
    function jurorKeys(uint256 disputeId) internal view returns (uint256[] memory keys) {
        uint256[] memory leaves = disputes.disputeOf(disputeId).jurorLeaves;
        keys = new uint256[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            for (uint256 j = 0; j < peerKeys.length; ++j) {
                if (staking.leafOf(vm.addr(peerKeys[j])) == leaves[i]) keys[i] = peerKeys[j];
            }
        }
    }

    function ballot(uint256 disputeId, uint256 key, bool guilty) internal view returns (Ballot memory) {
        return Ballot({guilty: guilty, signature: signDigest(key, disputes.voteDigest(disputeId, guilty))});
    }

    /// @dev The first of the jurors vote guilty, the next ones do not, the others are absent.
    function voteAll(uint256 disputeId, uint256 guilty, uint256 notGuilty) internal {
        uint256[] memory keys = jurorKeys(disputeId);
        Ballot[] memory ballots = new Ballot[](guilty + notGuilty);
        for (uint256 i = 0; i < ballots.length; ++i) {
            ballots[i] = ballot(disputeId, keys[i], i < guilty);
        }
        disputes.vote(disputeId, ballots);
    }

    function pass() internal {
        vm.warp(vm.getBlockTimestamp() + VOTE_PERIOD + 1);
    }

    function latestOf(Fault fault) internal view returns (uint256) {
        bytes32 charge = disputes.chargeOf(node, TASK, fault);
        return disputes.latestDispute(charge, vm.getBlockTimestamp(), EVIDENCE_HASH);
    }

    function phaseOf(uint256 disputeId) internal view returns (Phase) {
        return disputes.disputeOf(disputeId).phase;
    }

    function assertPhase(uint256 disputeId, Phase phase, string memory what) internal view {
        vm.assertEq(uint256(phaseOf(disputeId)), uint256(phase), what);
    }
}

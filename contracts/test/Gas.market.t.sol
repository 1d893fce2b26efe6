// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {LivedFixture} from "./LivedFixture.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";

/// @notice What whole transactions cost: each call is one of its own, with its 21,000 and its data.
/// @dev The figures go to `snapshots/market.json`, which `npm test` compares; `npm run gas` writes them anew.
/// forge-config: default.isolate = true
contract GasMarketTest is LivedFixture {
    string internal constant GROUP = "market";

    function measure(string memory name, uint256 most) internal {
        vm.assertLe(vm.snapshotGasLastCall(GROUP, name), most, name);
    }

    function test_redeem() public {
        depositAs(COORDINATOR_OWNER, 1_000 ether);
        redeem(10 ether);
        measure("redeem, first of a pair", 75_000);
        redeem(20 ether);
        measure("redeem", 75_000);
        collect();
        measure("collect, first of a miner", 250_000);
        redeem(30 ether);
        collect();
        measure("collect", 150_000);
    }

    function test_redeem_does_not_depend_on_the_number_of_tasks() public {
        depositAs(COORDINATOR_OWNER, 1_000 ether);
        redeem(1 ether + 1);
        redeem(900 ether + 12_345_678);
        measure("redeem after a million tasks", 75_000);
    }

    function test_bounce() public {
        depositAs(COORDINATOR_OWNER, 10 ether);
        redeem(1_000 ether);
        measure("redeem that bounces", 100_000);
        vm.warp(vm.getBlockTimestamp() + GRACE + 1);
        escrow.bounced(coordinator, node);
        measure("bounced", 200_000);
    }

    function test_equivocation_among_8_nodes() public {
        live(5);
        measure("equivocation, first of all, among 8 nodes", 160_000);
        equivocate(NODE_KEY, "slot");
        measure("equivocation among 8 nodes", 135_000);
        vm.roll(vm.getBlockNumber() + 257);
        slashing.claimReward(slashing.evidenceKeyOf(node, 3, keccak256("slot")));
        measure("claimReward", 100_000);
        equivocate(NODE_KEY, "another");
        measure("equivocation of who has nothing left", 130_000);
    }

    function test_equivocation_among_500_nodes() public {
        live(497);
        equivocate(0x9A500, "second");
        measure("equivocation among 500 nodes, without votes", 135_000);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        equivocate(NODE_KEY, "slot");
        measure("equivocation among 500 nodes", 135_000);
    }

    /// @dev Up to 4,096 nodes the tree has two words to a leaf, then three.
    function test_equivocation_among_4097_nodes() public {
        live(9);
        pretendNodes(4_096);
        registerAs(Role.Miner, 0x9A600, OTHER_OWNER, MINER_STAKE);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        equivocate(NODE_KEY, "slot");
        measure("equivocation among 4097 nodes", 140_000);
    }

    /// @dev Somebody copies the report; whoever had committed before takes the reward back.
    function test_priority() public {
        bytes32 slot = keccak256("slot");
        (bytes memory a, bytes memory b) = twoOf(NODE_KEY, slot);
        bytes32 hash = slashing.evidenceHashOf(3, slot, keccak256("A"), a, keccak256("B"), b);
        slashing.commitEvidence(slashing.commitmentOf(address(this), hash, "salt"));
        measure("commitEvidence", 60_000);
        vm.roll(vm.getBlockNumber() + 8);
        vm.prank(STRANGER);
        slashing.equivocation(3, slot, keccak256("A"), a, keccak256("B"), b);
        vm.roll(vm.getBlockNumber() + 65);
        slashing.takePriority(3, slot, keccak256("A"), a, keccak256("B"), b, "salt");
        measure("takePriority", 70_000);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";
import {JAIL_FOREVER} from "../src/interfaces/IStaking.sol";

/// @notice What whole transactions cost, in a market of 500 nodes with a stream that flows.
/// @dev forge runs each top call as a transaction of its own (`isolate`), so that every slot is cold; its gas
/// has the 21,000 and the calldata in it. The figures go to `snapshots/Gas.json`, which `npm test` compares.
/// forge-config: default.isolate = true
contract GasTest is Fixture {
    uint256 internal constant NODES = 500;
    string internal constant METADATA =
        '{"name":"Northern Lights","url":"https://miner.example.org","models":["sd-1.5","sdxl"]}';

    function setUp() public override {
        super.setUp();
        token.transfer(OWNER, 10_000_000 ether);
        for (uint256 i = 0; i < NODES; ++i) {
            // Leaf by leaf, as 500 registrations would; the last word of leaves has room.
            registerAs(Role.Miner, 0x1000000 + i, OWNER, MINER_STAKE);
        }
        token.approve(address(staking), type(uint256).max);
        staking.fundRewards(1_000_000 ether);
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        vm.roll(vm.getBlockNumber() + EPOCH_BLOCKS);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
    }

    function snapshot(string memory name, uint256 limit) internal {
        uint256 used = vm.snapshotGasLastCall("Gas", name);
        vm.assertLe(used, limit, name);
    }

    function test_gas_of_register() public {
        bytes memory signature = consent(NODE_KEY, OWNER, Role.Miner);
        stakeAs(OWNER, MINER_STAKE);
        vm.warp(vm.getBlockTimestamp() + 60);
        vm.prank(OWNER);
        staking.register(Role.Miner, node, METADATA, deadline() - 60, signature);
        snapshot("register", 90_000);
    }

    function test_gas_of_stake_for_a_new_key() public {
        stakeAs(OWNER, MINER_STAKE);
        snapshot("stake for a new key", 150_000);
    }

    function test_gas_of_a_first_vote() public {
        vm.prank(ANN);
        token.approve(address(staking), 5_000 ether);
        vm.prank(ANN);
        staking.vote(otherNode, 1_000 ether);
        snapshot("first vote, new word of history", 140_000);

        vm.roll(vm.getBlockNumber() + EPOCH_BLOCKS);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        vm.prank(BEN);
        token.approve(address(staking), 5_000 ether);
        vm.prank(BEN);
        staking.vote(otherNode, 1_000 ether);
        snapshot("first vote", 120_000);
    }

    function test_gas_of_a_slash() public {
        vm.prank(ANN);
        staking.vote(otherNode, 1_000 ether);
        vm.prank(OTHER_OWNER);
        staking.unvote(otherNode, 100);
        vm.roll(vm.getBlockNumber() + EPOCH_BLOCKS);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        staking.slash(otherNode, 10_000, 1_000, JAIL_FOREVER);
        snapshot("slash", 120_000);
    }

    function test_gas_of_leaving() public {
        vm.prank(ANN);
        staking.vote(otherNode, 1_000 ether);
        vm.roll(vm.getBlockNumber() + EPOCH_BLOCKS);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        vm.prank(ANN);
        uint256 requestId = staking.unvote(otherNode, 1_000 ether * 1e3);
        snapshot("unvote", 150_000);
        passUnbonding();
        vm.prank(ANN);
        staking.claim(otherNode);
        snapshot("claim", 100_000);
        vm.prank(ANN);
        staking.withdraw(otherNode, requestId);
        snapshot("withdraw", 70_000);
    }

    function test_gas_of_fees() public {
        vm.prank(ESCROW);
        staking.addFees(otherNode, 100 ether);
        snapshot("add fees", 120_000);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";
import {JAIL_FOREVER} from "../src/interfaces/IStaking.sol";

/// @notice A market whose transactions are measured.
/// @dev forge runs each top call as a transaction of its own (`isolate`), so that every slot is cold; its gas
/// has the 21,000 and the calldata in it. The figures go to `snapshots/`, which `npm test` compares.
abstract contract GasFixture is Fixture {
    string internal constant METADATA =
        '{"name":"Northern Lights","url":"https://miner.example.org","models":["sd-1.5","sdxl"]}';

    function group() internal pure virtual returns (string memory);

    function nodesAndStream() internal pure virtual returns (uint256 nodes, uint256 funding);

    function setUp() public override {
        super.setUp();
        token.transfer(OWNER, 20_000_000 ether);
        (uint256 nodes, uint256 funding) = nodesAndStream();
        growTo(nodes);
        token.approve(address(staking), type(uint256).max);
        if (funding != 0) staking.fundRewards(funding);
        registerAs(Role.Miner, OTHER_NODE_KEY, OTHER_OWNER, MINER_STAKE);
        vm.prank(OTHER_OWNER);
        staking.announceCommission(otherNode, 1_000);
        vm.warp(vm.getBlockTimestamp() + 7 days);
        vm.prank(OTHER_OWNER);
        staking.announceCommission(otherNode, 1_000);
        passEpoch();
    }

    function passEpoch() internal {
        vm.roll(vm.getBlockNumber() + EPOCH_BLOCKS);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
    }

    function growTo(uint256 nodes) internal {
        for (uint256 i = staking.nodeCount(); i < nodes; ++i) {
            registerAs(Role.Miner, 0x1000000 + i, OWNER, MINER_STAKE);
        }
    }

    function snapshot(string memory name, uint256 most) internal {
        vm.assertLe(vm.snapshotGasLastCall(group(), name), most, name);
    }

    function measureRegister(uint256 key, string memory name, uint256 most) internal {
        bytes memory signature = consent(key, OWNER, Role.Miner);
        vm.prank(OWNER);
        staking.stake(vm.addr(key), MINER_STAKE);
        vm.warp(vm.getBlockTimestamp() + 60);
        vm.prank(OWNER);
        staking.register(Role.Miner, vm.addr(key), METADATA, deadline() - 60, signature);
        snapshot(name, most);
    }

    function measureVote(address voter, string memory name, uint256 most) internal {
        vm.prank(voter);
        token.approve(address(staking), 5_000 ether);
        vm.prank(voter);
        staking.vote(otherNode, 1_000 ether);
        snapshot(name, most);
    }
}

/// @notice What each kind of transaction costs.
abstract contract GasMeasured is GasFixture {
    function test_gas_of_register() public {
        measureRegister(NODE_KEY, "register", 95_000);
    }

    function test_gas_of_stake_for_a_new_key() public {
        stakeAs(OWNER, MINER_STAKE);
        snapshot("stake for a new key", 185_000);
    }

    function test_gas_of_a_first_vote() public {
        measureVote(ANN, "first vote, first change of the node's weight", 125_000);
        passEpoch();
        measureVote(BEN, "first vote", 125_000);
    }

    function test_gas_of_a_slash() public {
        vm.prank(ANN);
        staking.vote(otherNode, 1_000 ether);
        vm.prank(OTHER_OWNER);
        staking.unvote(otherNode, 1e6);
        passEpoch();
        staking.slash(otherNode, 10_000, 1_000, JAIL_FOREVER);
        snapshot("slash", 115_000);
    }

    function test_gas_of_leaving() public {
        vm.prank(ANN);
        staking.vote(otherNode, 1_000 ether);
        passEpoch();
        vm.prank(ANN);
        uint256 requestId = staking.unvote(otherNode, 900 ether * 1e3);
        snapshot("unvote", 160_000);
        passUnbonding();
        vm.prank(ESCROW);
        staking.addFees(otherNode, 100 ether);
        vm.warp(vm.getBlockTimestamp() + 1 days);
        vm.prank(ANN);
        staking.claim(otherNode);
        snapshot("claim", 90_000);
        vm.prank(ANN);
        staking.withdraw(otherNode, requestId);
        snapshot("withdraw", 55_000);
    }

    function test_gas_of_fees() public {
        vm.prank(ESCROW);
        staking.addFees(otherNode, 100 ether);
        snapshot("add fees", 90_000);
        passEpoch();
        measureVote(ANN, "first vote while fees flow", 130_000);
    }

    function test_gas_of_metadata() public {
        vm.prank(OTHER_OWNER);
        staking.setMetadata(otherNode, METADATA);
        snapshot("set metadata", 60_000);
    }
}

/// @notice A market that begins.
/// forge-config: default.isolate = true
contract GasSmallTest is GasMeasured {
    function group() internal pure override returns (string memory) {
        return "Staking-6-nodes";
    }

    function nodesAndStream() internal pure override returns (uint256, uint256) {
        return (5, 0);
    }
}

/// @notice With a stream that flows and a node that takes a commission.
/// forge-config: default.isolate = true
contract GasLargeTest is GasMeasured {
    function group() internal pure override returns (string memory) {
        return "Staking-500-nodes-and-stream";
    }

    function nodesAndStream() internal pure override returns (uint256, uint256) {
        return (499, 1_000_000 ether);
    }

    function test_gas_of_the_first_of_eight_leaves() public {
        growTo(504);
        measureRegister(NODE_KEY, "register, first of eight leaves", 95_000);
    }
}

/// @notice 4,096 nodes are two words of the tree deep, one more makes it three.
/// forge-config: default.isolate = true
contract GasDeepTest is GasFixture {
    function group() internal pure override returns (string memory) {
        return "Staking-4096-nodes-and-stream";
    }

    function nodesAndStream() internal pure override returns (uint256, uint256) {
        return (9, 1_000_000 ether);
    }

    function test_gas_with_two_words_and_with_three() public {
        pretendNodes(4_088);
        measureRegister(NODE_KEY, "two words: register, first of eight leaves", 95_000);
        passEpoch();
        measureVote(ANN, "two words: first vote", 125_000);
        pretendNodes(4_096);
        measureRegister(0x2000000, "register that makes the tree deeper", 135_000);
        passEpoch();
        measureRegister(0x2000001, "three words: register", 90_000);
        pretendNodes(4_104);
        measureRegister(0x2000002, "three words: register, first of eight leaves", 100_000);
        passEpoch();
        measureVote(BEN, "three words: first vote", 130_000);
    }
}

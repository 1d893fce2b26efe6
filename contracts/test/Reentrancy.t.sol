// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {JuryFixture} from "./JuryFixture.sol";
import {Fault, IDisputes} from "../src/interfaces/IDisputes.sol";
import {IEscrow} from "../src/interfaces/IEscrow.sol";
import {IRewards} from "../src/interfaces/IRewards.sol";
import {IStaking} from "../src/interfaces/IStaking.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";

/// @notice A token that calls back whenever it is called.
contract ReturningToken {
    address internal target;
    bytes internal data;
    bool public accepted;
    bytes public answer;

    function arm(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    function transfer(address, uint256) external returns (bool) {
        return comeBack();
    }

    function transferFrom(address, address, uint256) external returns (bool) {
        return comeBack();
    }

    function comeBack() internal returns (bool) {
        (accepted, answer) = target.call(data);
        return true;
    }
}

/// @notice CAI calls nobody. Whatever moves tokens refuses to be called while it does, all the same.
contract ReentrancyTest is JuryFixture {
    ReturningToken internal returning;
    address internal coordinator;

    function setUp() public override {
        super.setUp();
        fund(OTHER_OWNER);
        coordinator = otherNode;
        registerAs(Role.Coordinator, OTHER_NODE_KEY, OTHER_OWNER, COORDINATOR_STAKE);
        vm.etch(address(token), address(new ReturningToken()).code);
        returning = ReturningToken(address(token));
    }

    function assertRefused(string memory what) internal view {
        vm.assertTrue(!returning.accepted(), what);
        bytes4 said = bytes4(returning.answer());
        vm.assertEq(bytes32(said), bytes32(bytes4(keccak256("ReentrancyGuardReentrantCall()"))), what);
    }

    function tryStaking(bytes memory data, string memory what) internal {
        returning.arm(address(staking), data);
        staking.stake(address(0xDA7A), 1);
        assertRefused(what);
    }

    function test_staking_is_not_entered_twice() public {
        tryStaking(abi.encodeCall(IStaking.stake, (node, 1)), "stake");
        tryStaking(abi.encodeCall(IStaking.vote, (node, 1)), "vote");
        tryStaking(abi.encodeCall(IStaking.withdraw, (node, 1)), "withdraw");
        tryStaking(abi.encodeCall(IStaking.payReward, (ANN, 0)), "payReward");
        tryStaking(abi.encodeCall(IStaking.burnSlashed, ()), "burnSlashed");
        tryStaking(abi.encodeCall(IRewards.fundRewards, (1)), "fundRewards");
        tryStaking(abi.encodeCall(IRewards.addFees, (node, 1)), "addFees");
        tryStaking(abi.encodeCall(IRewards.claim, (node)), "claim");
    }

    function tryEscrow(bytes memory data, string memory what) internal {
        returning.arm(address(escrow), data);
        escrow.deposit(coordinator, 1);
        assertRefused(what);
    }

    function test_escrow_is_not_entered_twice() public {
        tryEscrow(abi.encodeCall(IEscrow.deposit, (coordinator, 1)), "deposit");
        tryEscrow(abi.encodeCall(IEscrow.withdraw, (coordinator)), "withdraw");
        tryEscrow(abi.encodeCall(IEscrow.payDebt, (coordinator, node)), "payDebt");
        tryEscrow(abi.encodeCall(IEscrow.bounced, (coordinator, node)), "bounced");
        tryEscrow(abi.encodeCall(IEscrow.collect, (node, one(coordinator))), "collect");
    }

    function tryDisputes(bytes memory data, bytes32 task) internal {
        returning.arm(address(disputes), data);
        open(accusationAbout(Fault.FalseResult, task));
        assertRefused("disputes");
    }

    function test_disputes_are_not_entered_twice() public {
        address[] memory nobody = new address[](0);
        tryDisputes(abi.encodeCall(IDisputes.openDispute, (accusation(Fault.FalseResult))), "1");
        tryDisputes(abi.encodeCall(IDisputes.drawJurors, (1)), "2");
        tryDisputes(abi.encodeCall(IDisputes.closeDispute, (1)), "3");
        tryDisputes(abi.encodeCall(IDisputes.payJurors, (1, nobody)), "4");
        tryDisputes(abi.encodeCall(IDisputes.punishAbsent, (1, nobody)), "5");
        tryDisputes(abi.encodeCall(IDisputes.payCredit, (ANN)), "6");
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {NetworkFixture} from "./NetworkFixture.sol";
import {Role} from "../src/interfaces/INodeRegistry.sol";
import {Voucher} from "../src/interfaces/IEscrow.sol";

/// @notice A market: a coordinator with a deposit, a miner with voters, and vouchers between them.
abstract contract MarketFixture is NetworkFixture {
    uint256 internal constant COORDINATOR_KEY = 0xC00D;
    uint256 internal constant SECOND_COORDINATOR_KEY = 0xC00E;
    address internal constant COORDINATOR_OWNER = address(0x1003);
    address internal constant STRANGER = address(0x4001);

    address internal coordinator;
    address internal secondCoordinator;

    function setUp() public virtual override {
        super.setUp();
        coordinator = vm.addr(COORDINATOR_KEY);
        secondCoordinator = vm.addr(SECOND_COORDINATOR_KEY);
        fund(COORDINATOR_OWNER);
        fund(STRANGER);
        allowEscrow(COORDINATOR_OWNER);
        allowEscrow(STRANGER);
        registerMiner();
        registerAs(Role.Coordinator, COORDINATOR_KEY, COORDINATOR_OWNER, COORDINATOR_STAKE);
    }

    function allowEscrow(address account) internal {
        vm.prank(account);
        token.approve(address(escrow), type(uint256).max);
    }

    function depositAs(address payer, uint256 amount) internal {
        vm.prank(payer);
        escrow.deposit(coordinator, amount);
    }

    function voucher(uint256 amount) internal view returns (Voucher memory) {
        return Voucher({coordinator: coordinator, miner: node, cumulativeAmount: amount});
    }

    function signVoucher(uint256 key, Voucher memory terms) internal view returns (bytes memory) {
        return signDigest(key, escrow.voucherDigest(terms));
    }

    function redeem(uint256 amount) internal returns (uint256) {
        Voucher memory terms = voucher(amount);
        return escrow.redeem(terms, signVoucher(COORDINATOR_KEY, terms));
    }

    function collect() internal returns (uint256) {
        return escrow.collect(node, one(coordinator));
    }
}

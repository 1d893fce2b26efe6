// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {CAI} from "../src/CAI.sol";
import {DevelopmentCAI} from "../src/DevelopmentCAI.sol";
import {IDevelopmentCAI} from "../src/interfaces/IDevelopmentCAI.sol";

/// @notice The token and, on development chains, its faucet.
contract CAITest is Base {
    uint256 internal constant KEY = 0xA11CE;
    address internal constant SPENDER = address(0x51);

    CAI internal token;
    DevelopmentCAI internal development;
    address internal holder;

    function setUp() public {
        vm.warp(1_700_000_000);
        holder = vm.addr(KEY);
        token = new CAI(holder, 1000 ether);
        development = DevelopmentCAI(create("DevelopmentCAI", abi.encode(holder, 1000 ether)));
    }

    function test_the_supply_is_the_holders() public view {
        vm.assertEq(token.totalSupply(), 1000 ether, "supply");
        vm.assertEq(token.balanceOf(holder), 1000 ether, "balance");
        vm.assertEq(token.decimals(), 18, "decimals");
    }

    function test_burn_destroys_ones_own() public {
        vm.prank(holder);
        token.burn(400 ether);
        vm.assertEq(token.totalSupply(), 600 ether, "supply");
    }

    function test_permit_approves_by_signature() public {
        bytes32 typehash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        uint256 deadline = vm.getBlockTimestamp() + 60;
        bytes32 structHash = keccak256(abi.encode(typehash, holder, SPENDER, 5 ether, 0, deadline));
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, digest);
        token.permit(holder, SPENDER, 5 ether, deadline, v, r, s);
        vm.assertEq(token.allowance(holder, SPENDER), 5 ether, "allowance");
    }

    function test_the_faucet_gives_up_to_its_limit_and_then_cools_down() public {
        uint256 limit = development.FAUCET_LIMIT();
        vm.expectRevert(
            abi.encodeWithSelector(IDevelopmentCAI.FaucetLimitExceeded.selector, limit + 1, limit)
        );
        development.faucet(limit + 1);

        development.faucet(limit);
        uint256 readyAt = vm.getBlockTimestamp() + 1 hours;
        vm.assertEq(development.faucetReadyAt(address(this)), readyAt, "ready at");
        vm.warp(readyAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IDevelopmentCAI.FaucetCoolingDown.selector, readyAt));
        development.faucet(1);
        vm.warp(readyAt);
        development.faucet(1);
        vm.assertEq(development.balanceOf(address(this)), limit + 1, "balance");
    }

    function test_the_faucet_serves_accounts_apart() public {
        development.faucet(1);
        vm.prank(SPENDER);
        development.faucet(2);
        vm.assertEq(development.balanceOf(SPENDER), 2, "balance");
    }

    function test_no_faucet_where_money_is_real() public {
        uint256[2] memory chains = [uint256(1), 1200];
        for (uint256 i = 0; i < chains.length; ++i) {
            vm.chainId(chains[i]);
            vm.expectRevert(abi.encodeWithSelector(IDevelopmentCAI.NotADevelopmentChain.selector, chains[i]));
            DevelopmentCAI(create("DevelopmentCAI", abi.encode(holder, 1)));
        }
    }
}

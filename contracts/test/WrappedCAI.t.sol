// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Base} from "./Base.sol";
import {WrappedCAI} from "../src/WrappedCAI.sol";
import {IWrappedCAI} from "../src/interfaces/IWrappedCAI.sol";

/// @notice Takes coins, and tries to take them twice while it does.
contract Greedy {
    WrappedCAI private immutable TOKEN;
    uint256 public refusals;

    constructor(WrappedCAI token) payable {
        TOKEN = token;
        token.wrap{value: msg.value}();
    }

    receive() external payable {
        try TOKEN.unwrap(1) {}
        catch {
            ++refusals;
        }
    }

    function take(uint256 amount) external {
        TOKEN.unwrap(amount);
    }
}

/// @notice One token for each coin, whatever happens.
contract WrappedCAITest is Base {
    address internal constant ANN = address(0xA11);
    address internal constant BEN = address(0xBE1);

    WrappedCAI internal token;
    bool internal takesCoins;

    receive() external payable {
        require(takesCoins, "no coins, please");
    }

    function setUp() public {
        token = new WrappedCAI();
        vm.deal(ANN, 100 ether);
    }

    function test_wrap_and_unwrap_go_round() public {
        vm.prank(ANN);
        token.wrap{value: 60 ether}();
        vm.assertEq(token.balanceOf(ANN), 60 ether, "tokens");
        vm.prank(ANN);
        token.unwrap(60 ether);
        vm.assertEq(ANN.balance, 100 ether, "coins");
        vm.assertEq(token.totalSupply(), 0, "supply");
    }

    function test_a_plain_transfer_of_coins_gives_tokens() public {
        vm.prank(ANN);
        (bool sent,) = address(token).call{value: 5 ether}("");
        vm.assertTrue(sent, "sent");
        vm.assertEq(token.balanceOf(ANN), 5 ether, "tokens");
    }

    function test_nobody_unwraps_more_than_they_have() public {
        vm.prank(ANN);
        token.wrap{value: 5 ether}();
        vm.prank(ANN);
        token.transfer(BEN, 1 ether);
        vm.prank(ANN);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, ANN, 4 ether, 5 ether)
        );
        token.unwrap(5 ether);
    }

    function test_who_takes_no_coins_keeps_the_tokens() public {
        vm.deal(address(this), 1 ether);
        token.wrap{value: 1 ether}();
        vm.expectRevert(revertOf(IWrappedCAI.CoinsNotTaken.selector, address(this)));
        token.unwrap(1 ether);
        vm.assertEq(token.balanceOf(address(this)), 1 ether, "tokens");
        takesCoins = true;
        token.unwrap(1 ether);
        vm.assertEq(address(this).balance, 1 ether, "coins");
    }

    function test_coming_back_for_more_finds_nothing() public {
        vm.prank(ANN);
        token.wrap{value: 5 ether}();
        vm.deal(address(this), 1 ether);
        Greedy greedy = new Greedy{value: 1 ether}(token);
        greedy.take(1 ether);
        vm.assertEq(address(greedy).balance, 1 ether, "coins");
        vm.assertEq(greedy.refusals(), 1, "refused");
        vm.assertEq(address(token).balance, 5 ether, "ann's");
    }

    function test_coins_of_burned_tokens_stay_for_good() public {
        vm.prank(ANN);
        token.wrap{value: 5 ether}();
        vm.prank(ANN);
        token.burn(2 ether);
        vm.assertEq(token.lockedCoins(), 2 ether, "locked");
        vm.assertEq(token.totalSupply(), 3 ether, "supply");
    }

    function testFuzz_every_token_has_its_coin(uint96 wrapped, uint96 burned, uint96 unwrapped) public {
        vm.deal(ANN, wrapped);
        vm.prank(ANN);
        token.wrap{value: wrapped}();
        uint256 burning = bound(burned, 0, wrapped);
        vm.prank(ANN);
        token.burn(burning);
        vm.prank(ANN);
        token.unwrap(bound(unwrapped, 0, wrapped - burning));
        vm.assertEq(token.totalSupply(), token.balanceOf(ANN), "supply");
        vm.assertEq(address(token).balance, token.totalSupply() + burning, "coins");
    }
}

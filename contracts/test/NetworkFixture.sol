// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {Disputes} from "../src/Disputes.sol";
import {Escrow} from "../src/Escrow.sol";
import {Slashing} from "../src/Slashing.sol";
import {Staking, StakingParameters} from "../src/Staking.sol";

/// @notice All contracts as they are deployed together.
abstract contract NetworkFixture is Fixture {
    uint256 internal constant NOTICE = 2 days;
    uint256 internal constant GRACE = 1 days;
    uint256 internal constant MAX_AGE = 3 days;
    uint256 internal constant DRAW_PERIOD = 1 days;
    uint256 internal constant VOTE_PERIOD = 2 days;

    Disputes internal disputes;
    Escrow internal escrow;

    /// @dev Staking names its slashers before they exist; their constructors check that they are meant.
    function deploySlasher() internal override {
        staking = newStaking(created(1), created(2), created(3));
        slashing = new Slashing(address(staking), 256);
        disputes = new Disputes(address(staking), MAX_AGE, DRAW_PERIOD, VOTE_PERIOD);
        escrow = new Escrow(address(staking), NOTICE, GRACE);
    }

    function newStaking(address slashing_, address disputes_, address escrow_) internal returns (Staking) {
        StakingParameters memory all = parameters(slashing_);
        (all.disputes, all.escrow) = (disputes_, escrow_);
        return new Staking(all);
    }

    /// @dev The address of what this contract creates after so many other things.
    function created(uint256 others) internal view returns (address) {
        return vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + others);
    }

    function one(address account) internal pure returns (address[] memory accounts) {
        accounts = new address[](1);
        accounts[0] = account;
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {IDisputes} from "../src/interfaces/IDisputes.sol";
import {IEscrow} from "../src/interfaces/IEscrow.sol";
import {ISlashing} from "../src/interfaces/ISlashing.sol";
import {IStaking, StakingParameters} from "../src/interfaces/IStaking.sol";

/// @notice All contracts as they are deployed together.
abstract contract NetworkFixture is Fixture {
    uint256 internal constant NOTICE = 2 days;
    uint256 internal constant GRACE = 1 days;
    uint256 internal constant MAX_AGE = 3 days;
    uint256 internal constant DRAW_PERIOD = 1 days;
    uint256 internal constant VOTE_PERIOD = 2 days;

    IDisputes internal disputes;
    IEscrow internal escrow;

    /// @dev Staking names its slashers before they exist; their constructors check that they are meant.
    function deploySlasher() internal virtual override {
        staking = newStaking(created(1), created(2), created(3));
        slashing = ISlashing(create("Slashing", abi.encode(address(staking), 256)));
        disputes =
            IDisputes(create("Disputes", abi.encode(address(staking), MAX_AGE, DRAW_PERIOD, VOTE_PERIOD)));
        escrow = IEscrow(create("Escrow", abi.encode(address(staking), NOTICE, GRACE)));
    }

    function newStaking(address slashing_, address disputes_, address escrow_) internal returns (IStaking) {
        StakingParameters memory all = parameters(slashing_);
        (all.disputes, all.escrow) = (disputes_, escrow_);
        return IStaking(create("Staking", abi.encode(all)));
    }

    /// @dev The address of what this contract creates after so many other things.
    function created(uint256 others) internal view returns (address) {
        return vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + others);
    }
}

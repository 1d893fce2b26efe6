// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {RewardMath} from "../src/libraries/RewardMath.sol";
import {RewardShare} from "../src/libraries/RewardShare.sol";

/// @notice Bounds that no stake which exists comes near.
contract RewardsLibrariesTest is Base {
    uint256 internal constant MOST = type(uint128).max;

    function test_what_would_make_the_sum_run_over_is_the_owners() public pure {
        uint256 step = (uint256(1 ether) << 80) / 1e21;
        (uint256 sum, uint256 owners) = RewardMath.divide(1 ether, 0, 1e21, MOST - step);
        vm.assertEq(sum, MOST, "to the very bound");
        vm.assertEq(owners, 0, "the shares'");
        (sum, owners) = RewardMath.divide(1 ether, 0, 1e21, MOST - step + 1);
        vm.assertEq(sum, MOST - step + 1, "as before");
        vm.assertEq(owners, 1 ether, "the owner's");
    }

    function test_of_no_stake_no_share_is_paid() public pure {
        vm.assertEq(RewardShare.atMost(0, 0, 10_000, 5_000), 0, "none");
    }

    /// @dev However much its voters lose.
    function test_a_report_of_an_owner_without_stake_is_worth_100_cai() public pure {
        vm.assertEq(RewardShare.atMost(0, 5_000_000 ether, 10_000, 1_000), 100 ether, "of everything");
        vm.assertEq(RewardShare.atMost(0, 50_000 ether, 100, 1_000), 1 ether, "of a hundredth");
        vm.assertEq(RewardShare.atMost(0, 30 ether, 10_000, 1_000), 3 ether, "of less, the share");
        vm.assertEq(RewardShare.atMost(200 ether + 2, 1e25, 10_000, 1_000), 100 ether + 1, "half of its own");
    }
}

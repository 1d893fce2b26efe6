// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {JuryFixture} from "./JuryFixture.sol";
import {Fault} from "../src/interfaces/IDisputes.sol";

/// @notice What an accusation costs whoever makes it, among thirteen nodes.
/// @dev The figures go to `snapshots/disputes.json`, which `npm test` compares; `npm run gas` writes them anew.
/// forge-config: default.isolate = true
contract GasDisputesTest is JuryFixture {
    string internal constant GROUP = "disputes";

    function measure(string memory name, uint256 most) internal {
        vm.assertLe(vm.snapshotGasLastCall(GROUP, name), most, name);
    }

    function test_an_accusation_that_is_upheld() public {
        uint256 disputeId = open(Fault.FalseResult);
        measure("openDispute", 300_000);
        draw(disputeId, keccak256("seed"));
        measure("drawJurors", 300_000);
        voteAll(disputeId, 6, 0);
        measure("vote, six at once", 200_000);
        address absent = vm.addr(jurorKeys(disputeId)[6]);
        pass();
        disputes.closeDispute(disputeId);
        measure("closeDispute, guilty", 250_000);
        disputes.punishAbsent(disputeId, one(absent));
        measure("punishAbsent", 200_000);
    }

    function test_an_accusation_that_nobody_comes_to() public {
        uint256 disputeId = openAndDraw(Fault.FalseResult);
        pass();
        disputes.closeDispute(disputeId);
        measure("closeDispute, no quorum", 150_000);
    }
}

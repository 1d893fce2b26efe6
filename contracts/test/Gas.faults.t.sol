// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";
import {LivedFixture} from "./LivedFixture.sol";
import {MarketFixture} from "./MarketFixture.sol";
import {NetworkFixture} from "./NetworkFixture.sol";
import {Plan, TraceFixture} from "./TraceFixture.sol";

/// @notice What it costs to prove a fault: whole transactions, with their 21,000 and their data, in a market that
/// has lived.
/// @dev The figures go to `snapshots/faults.json`, which `npm test` compares; `npm run gas` writes them anew.
/// forge-config: default.isolate = true
contract GasFaultsTest is TraceFixture, LivedFixture {
    string internal constant GROUP = "faults";

    function setUp() public override(MarketFixture, Fixture) {
        super.setUp();
        live(5);
    }

    function deploySlasher() internal override(Fixture, NetworkFixture) {
        super.deploySlasher();
    }

    function measure(string memory name, uint256 most) internal {
        vm.assertLe(vm.snapshotGasLastCall(GROUP, name), most, name);
    }

    /// @dev 32 x 32 pixels: 256 numbers in a tensor.
    function embedded() internal pure returns (Plan memory p) {
        p = plan();
        p.stepsMax = 100;
    }

    /// @dev 1024 x 1024 pixels: 65,536 numbers in a tensor.
    function sdxl() internal pure returns (Plan memory p) {
        p = embedded();
        (p.units, p.schedule, p.step) = (30, 30, 12);
        (p.factor, p.width, p.height, p.number) = (8, 1024, 1024, 40_000);
    }

    function prove(Plan memory p, string memory name, uint256 most) internal {
        showStep(p);
        bytes memory evidence = falseStep(p);
        vm.snapshotValue("fault-bytes", name, evidence.length);
        slashing.proveFault(evidence);
        measure(name, most);
    }

    function test_of_the_embedded_model() public {
        prove(embedded(), "FALSE_STEP, 256 numbers, one step", 215_000);
    }

    function test_of_a_large_picture() public {
        prove(sdxl(), "FALSE_STEP, 65,536 numbers, one step", 260_000);
    }

    function test_of_a_large_picture_by_a_scheduler_that_looks_back() public {
        Plan memory p = sdxl();
        p.twoSteps = true;
        prove(p, "FALSE_STEP, 65,536 numbers, two steps", 330_000);
    }

    function test_of_the_longest_announcement() public {
        Plan memory p = sdxl();
        (p.twoSteps, p.places, p.addressBytes) = (true, 64, 1024);
        prove(p, "FALSE_STEP, the same, longest announcement", 400_000);
    }

    function send(bytes memory evidence, string memory name, uint256 most) internal {
        vm.snapshotValue("fault-bytes", name, evidence.length);
        slashing.proveFault(evidence);
        measure(name, most);
    }

    /// @dev The proof of a quantile is as long for any seed.
    function test_of_a_start_from_an_image() public {
        string memory json = vm.readFile("test/fixtures/quantiles.json");
        Plan memory p = sdxl();
        (p.kind, p.seed, p.number) = (1, 0, 0);
        showStart(p, uint32(bytes4(slice(vm.parseJsonBytes(json, ".quantiles"), 0, 4))));
        bytes memory quantiles = slice(vm.parseJsonBytes(json, ".proofs"), 0, 448);
        send(falseStart(p, quantiles), "FALSE_START, 65,536 numbers, from an image", 240_000);
    }

    function test_of_a_number_that_is_none() public {
        Plan memory p = sdxl();
        bytes memory tensor = tensorOf(p, LATENT);
        setNumber(tensor, p.number, 0x7c00);
        (bytes32 hash, bytes memory piece) = openTensor(tensor, p.number);
        showTask(p, ABSENT, keccak256("steps"), hash);
        bytes memory place =
            bytes.concat(unsigned(p.units), unsigned(0), unsigned(sizeOf(p)), unsigned(p.number));
        bytes memory evidence = evidenceOf(7, 10, bytes.concat(place, head(4, 0), byteString(piece)));
        send(evidence, "NOT_FINITE, 65,536 numbers", 185_000);
    }

    function test_of_a_count() public {
        Plan memory p = sdxl();
        showTask(p, ABSENT, keccak256("steps"), keccak256("last"));
        shown.commitment = commitmentOf(digestOfAnnouncement(shown.announcement), keccak256("root"), 1);
        bytes memory both = bytes.concat(byteString(shown.announcement), byteString(shown.commitment));
        send(bytes.concat(head(4, 3), unsigned(8), both), "STEP_COUNT", 150_000);
    }
}

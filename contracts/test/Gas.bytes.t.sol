// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "./Base.sol";

/// @notice How large each contract is on the chain, against what a contract may be (EIP-170).
/// @dev The figures go to `snapshots/bytes.json`, which `npm test` compares; `npm run gas` writes them anew.
contract GasBytesTest is Base {
    uint256 internal constant MOST = 24_576;

    function test_every_contract_fits_on_the_chain() public {
        string[7] memory names =
            ["CAI", "WrappedCAI", "EpochSeeds", "Slashing", "Escrow", "Disputes", "Staking"];
        for (uint256 i = 0; i < names.length; ++i) {
            bytes memory code =
                vm.getDeployedCode(string.concat("out/", names[i], ".sol/", names[i], ".json"));
            vm.assertTrue(code.length != 0, "there is no code");
            vm.snapshotValue("bytes", names[i], code.length);
            vm.assertLe(code.length, MOST, names[i]);
        }
    }
}

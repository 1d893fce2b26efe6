"""How miners are paid: vouchers against a coordinator's deposit in the escrow contract.

Is: the coordinator's ledger and purse, the miner's earnings, credit and redeeming, and both sides of pay on a
task's stream. The rule of pay is `protocol/pay`, the contract's client `contracts/escrow`.
Is not: prices, which offers name, or staking.
"""

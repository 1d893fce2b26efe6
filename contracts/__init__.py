"""The rules that the chain enforces, and how to talk to it.

Is: the Solidity sources and their tests (``src/``, ``test/``), the committed artefacts (``artifacts/``) and
a typed client of the chain for trio, on web3 and eth-account.
Is not: a view on what the network does between its transactions; that is `protocol` and `node`.

Importing the package loads nothing; each module loads what it needs::

    artifacts.py     ABI and bytecode as package data
    libraries.py     web3, eth-account and eth-abi, imported in one place
    recursion.py     the recursion limit, kept while they are
    provider.py      how web3 reaches an RPC on trio: bounds, and typed errors
    endpoint_health.py   which RPC endpoints are used, which rest
    endpoints.py     several of them as one
    rpc.py           a connection: web3 as we use it
    errors.py        what can go wrong
    reverts.py       why a contract said no: its custom errors by name
    account.py       a key that signs transactions
    consent.py       a node key's consent to its registration
    transactions.py  one sender's transactions: nonce, gas, fees, receipt, decoded reverts
    records.py       what the client takes and gives: frozen dataclasses
    contract.py      one deployed contract: web3's object, with our addresses and errors
    leaves.py        leaves of the tree of weights that were left behind
    cai.py           the token, one method a function
    client.py        staking and slashing, likewise
    events.py        registrations as they happen, with a cursor
    deployment.py    which contracts stand where: contracts.json
    deploy.py        putting them there
    anvil.py         a development chain of one's own
    toolchain.py     where npm has put forge and anvil
    build.py         sources to artefacts, and the check that they are the same
"""

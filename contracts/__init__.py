"""What the chain enforces, and how to talk to it.

Is: the Solidity sources and their tests (``src/``, ``test/``), the committed artefacts (``artifacts/``) and
a typed client of the chain for trio.
Is not: a view on what the network does between its transactions; that is `protocol` and `node`.

Importing the package loads nothing; each module loads what it needs::

    artifacts.py     ABI and bytecode as package data
    codec.py         calls, results, events and errors of one contract, between Python and ABI bytes
    rpc.py           JSON-RPC over HTTP with typed errors
    account.py       a key that signs transactions
    consent.py       a node key's consent to its registration
    rlp.py           the form of transactions
    transactions.py  one sender's transactions: nonce, gas, fees, receipt, decoded reverts
    records.py       what the client takes and gives: frozen dataclasses
    contract.py      one deployed contract: address, codec, chain
    cai.py           the token, one method a function
    client.py        staking and slashing, likewise
    events.py        registrations as they happen, with a cursor
    deployment.py    which contracts stand where: contracts.json
    deploy.py        putting them there
    anvil.py         a development chain of one's own
    toolchain.py     where npm has put forge and anvil
    build.py         sources to artefacts, and the check that they are the same
"""

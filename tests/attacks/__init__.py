"""What a hostile peer may try, one file an attack, each with its parameters, its figures and what must hold.

Is: the attacks of the gossipsub v1.1 evaluation (Protocol Labs, PL-TechRep-2020-002) and some on the sockets.
Is not: liars of the market; those are in `tests/simulation/cheats.py` and `tests/market/test_bad_peers.py`.
"""

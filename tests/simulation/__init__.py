"""Whole networks on a heap of events: the gossip router and the rules of a node, with faults, from one seed.

Is: `events` (time), `links` and `world` (connections and what befalls them), `node` (a router and its shell),
`peer`, `roles` and `cheats` (who says what), `flooding` and `trading` (the scenarios), `report`.
Is not: sockets, processes or a chain; those run in `tests/p2p`, `tests/node` and `tests/market`.
"""

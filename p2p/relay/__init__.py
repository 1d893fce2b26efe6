"""Circuit relay v2: how two peers that nobody can dial reach each other through one that can be dialled.

Is: a relay with strict limits (:mod:`p2p.relay.server`), those who reserve at it and dial through it
(:mod:`p2p.relay.client`), and the way to a direct connection afterwards (:mod:`p2p.relay.hole_punch`).
Is not: a choice of whom to connect to, nor of trust: a relay sees who talks to whom and how much, and can
hang up; what is said is sealed end to end, between the keys of the two peers.

Source: libp2p specifications, "Circuit Relay v2" and "Direct Connection Upgrade through Relay". The library's
protobufs are used and its code is not: its relay lets anybody reserve in another peer's name, knows one
circuit a peer, counts nothing by address, and its circuits do not fit under our sessions.
"""

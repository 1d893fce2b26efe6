"""Gossip rules, one module a topic: pure functions that decide what a peer forwards.

Each is ``validate_<topic>(seen, view, data, now_ms)`` and either returns the opened message, which the
caller accepts and forwards, or raises: `GossipIgnore` (not to be forwarded, nobody's fault) or
`GossipReject` (the forwarder gets a penalty), each with a fixed reason. Cheap checks come before the
signature, `seen` is written last. The shape is that of Ethereum's executable p2p specification.
"""

"""The gossip mesh: a sans-I/O gossipsub router and the shell that runs it over libp2p streams.

Is: `router` (events in, actions out), its parts (`params`, `wire`, `score`, `cache`), `service` (the I/O).
Is not: a judge of messages; a topic's validator is passed in by whoever subscribes.
"""

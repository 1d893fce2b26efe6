"""The gossip mesh: a sans-I/O gossipsub v1.1 router and the shell that runs it over libp2p streams.

Is: `router` (events in, actions out), its parts (`overlay` who, `lazy` what was missed, `score` and
`standing` what a peer has earned, `wire`, `cache`, `backoffs`), its numbers (`params`, `score_params`), what
it shows (`actions`, `snapshot`), and `service` with `link` and `outbox` (the I/O).
Is not: a judge of messages; a topic's validator is passed in by whoever subscribes.
"""

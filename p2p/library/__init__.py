"""The edge to py-libp2p 0.8.1: the few of its internals that we must touch.

Is: the one room that knows how py-libp2p is put together; everything else uses :mod:`p2p.host`.
Is not: a place for behaviour of ours beyond mending the library's.

Mended, each with its test in ``tests/p2p/test_library_*.py``:

- An inbound connection kept its slot until the swarm ended, so a host went deaf after its cap of
  inbound connections *in its life*. Here the slot ends with the connection.
- The library dials peers of its own accord to reach a watermark, and prunes below it. Switched off:
  whom a node connects to is decided in :mod:`p2p.connections`.
- Any exception in a stream handler ended every task of the host. Here it ends that stream, and is counted.
- A peer could open streams without limit. Here they are bounded per peer and in total.
- It prints past our log, unformatted, what is everyday business. Here it is silent.
- A default host accepts plaintext peers. Here noise is the only security, yamux the only muxer, and both are
  ours (:mod:`p2p.session`): the library's spend most of a message's time on locks and task switches, lose
  the bytes of a read that is cancelled, fail a writer whose reader rests, and read a reset as an end.
"""

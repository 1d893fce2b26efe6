"""Sessions: one TCP connection as an authenticated bundle of streams, noise below and yamux above.

Is: two machines without I/O (:mod:`p2p.session.noise`, :mod:`p2p.session.yamux`) and their shells on trio
(:mod:`p2p.session.secure`, :mod:`p2p.session.connection`), in the place of py-libp2p's own.
Is not: a dialler or a host; :mod:`p2p.swarm` puts sessions to use.
"""

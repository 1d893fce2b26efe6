"""Sessions: one TCP connection as an authenticated bundle of streams, noise below and yamux above.

Is: two machines without I/O (:mod:`p2p.session.noise`, :mod:`p2p.session.yamux`), and their shells on trio
(:mod:`p2p.session.secure`; :mod:`p2p.session.connection` and its :mod:`p2p.session.stream`), in the place of
py-libp2p's own; what carries the bytes (:mod:`p2p.session.wires`), and the one place of a host that waits for
all of it (:mod:`p2p.session.hub`).
Is not: a dialler or a host; :mod:`p2p.library` puts sessions to use.
"""

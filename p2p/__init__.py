"""How bytes travel: identity, transport, gossip mesh, direct streams and discovery.

Is: everything between a socket and a validated message, on trio and py-libp2p.
Is not: aware of what a message means; `protocol` says that, and this room imports nothing else of ours.

Read in this order: `identity`, `host` (whose parts are `connected_peers`, `dialling` and `host_streams`),
`streams`, `connections`, then `mesh` and `gossip`, and `network`, which wires all of it for a node. What has
to be mended of py-libp2p is in `library`.
"""

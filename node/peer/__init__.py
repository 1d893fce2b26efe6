"""The base of every staked peer: host, mesh, chain, evidence and the network it belongs to."""

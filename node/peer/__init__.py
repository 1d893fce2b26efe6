"""What every staked peer stands on: host, mesh, chain, evidence and the network it belongs to."""

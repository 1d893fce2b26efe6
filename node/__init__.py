"""The node: the roles, inference, storage, the local API and the command line.

Is: the edge. I/O, clocks, randomness, keys and files live here; what is true is decided in `protocol`.
Read in this order: `cli` → `run` → `peer` → `coordinator/engine` and `miner/engine` → `inference/pool`.
"""

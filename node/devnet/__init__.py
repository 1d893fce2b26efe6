"""A whole market on one machine: a real chain, real processes, real sockets; for seeing and for testing.

Is: what `make demo`, `make devnet` and `make demo-equivocation` run, and what the process tests stand on.
Is not: a network of its own kind; its nodes are started by the same commands that anybody types.
"""

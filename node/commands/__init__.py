"""Command groups of `cuckoo-peer` and `cuckoo-slash`: one module for each group.

Is: flags, help, and what is printed. Is not: the work behind them, which is in the rooms below.
"""

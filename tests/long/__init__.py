"""The whole figures, which take an hour: a table of commands, run one after the other, and what came of each.

Is: `entries`, the table; `runner`, which runs it; `results`, which writes `RESULTS.md`.
Is not: the measuring; each command stands by itself and says by its status whether its goals are reached.
"""

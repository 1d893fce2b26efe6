"""Traces: the data of a task that a miner keeps so that its steps can be opened later."""

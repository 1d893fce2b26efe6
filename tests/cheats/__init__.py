"""Cheats: what a miner might do for less work or another picture, one file each, and what audits find of it.

Is: strategies that alter a real `Model`, which the shipped package does not have. Is not: a miner; a worker
that takes a strategy needs only to make its models by `miner.CheatingModel`.
"""

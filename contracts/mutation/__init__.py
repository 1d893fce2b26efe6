"""Small faults put into the contracts on purpose, to see whether the tests notice them.

Is: `operators` makes the faults out of the sources, `workplace` tries one, `__main__` all of them.
Is not: needed to run a node, or part of the tests: it takes minutes to hours.
"""

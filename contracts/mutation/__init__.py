"""Small faults put into the contracts on purpose, to see whether the tests notice them.

Is: `operators` makes the faults out of the sources, `__main__` runs the tests against each.
Is not: needed to run a node, or part of the tests: it takes minutes to hours.
"""

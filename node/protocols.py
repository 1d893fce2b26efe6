"""Names of the direct protocols between roles; a new meaning gets a new number."""

TASK_PROTOCOL = "/cuckoo/task/1"
"""A drawn miner and its coordinator: acceptance, input, chunks, commitment (`protocol/README.md`)."""

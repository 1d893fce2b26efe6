"""Names of the direct protocols between roles; a new meaning gets a new number."""

TASK_PROTOCOL = "/cuckoo/task/1"
"""A drawn miner and its coordinator: acceptance, input, chunks, commitment (`protocol/README.md`)."""
MODELS_PROTOCOL = "/cuckoo/models/1"
"""Anybody and a miner: a request for bytes of a file of a model package, and those bytes."""
OPENINGS_PROTOCOL = "/cuckoo/openings/1"
"""An auditor and a miner: a request for steps of a trace, and their opening (`protocol/README.md`)."""

"""Time limits that only a hang reaches: a busy machine is slower, and no test is to fail of that."""

CHILD_TIMEOUT_S = 180
"""For a child that a test waits for. It ends in seconds on an idle machine."""
HANG_S = 60
"""For everything else that comes in milliseconds."""

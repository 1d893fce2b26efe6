"""The pool of worker processes, in the node's own process."""

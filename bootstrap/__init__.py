"""The networks that one can join, one folder each, and how to run a bootstrap peer (see README.md)."""

"""Attacks on real nodes that run on a real chain; `make siege` runs them all."""

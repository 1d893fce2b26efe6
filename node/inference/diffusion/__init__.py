"""Diffusion models: networks, the loop around them, and what an audit compares."""

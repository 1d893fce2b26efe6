"""This machine: clock, files, logs, signals, and the page that shows how a node is."""

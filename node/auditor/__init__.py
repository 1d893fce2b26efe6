"""The auditor: checks work that the dice draw for this node, and says what it found."""

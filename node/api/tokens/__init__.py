"""Tokens for an app's own users: what each may do, what it has done, and whose a task is."""

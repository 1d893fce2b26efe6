"""The portal: pages for people with a wallet, served by each node at its own address.

Is: static ES modules (`static/`), a small read-only API from the chain's clients and what this node hears,
and the transactions that a visitor's wallet signs.
What is of this node itself is for who has the secret of a session (`sessions`).
Is not: the local API (`node.api`), which is for programs. Without a session nothing that is asked changes the
node.
"""

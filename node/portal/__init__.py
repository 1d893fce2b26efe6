"""The portal: pages for people with a wallet, served by each node at its own address.

Is: static ES modules (`static/`), a small read-only API from the chain's clients and what this node hears,
and the transactions that a visitor's wallet signs.
Is not: the local API (`node.api`). Nobody is let in further than anybody else: nothing of this node's
prompts, pictures or money is here, and nothing that is asked changes the node.
"""

"""Training the embedded model from openly licensed icons; nothing here runs on a peer.

Is: a recipe that `make train-model` repeats, seed by seed, and that writes `node/inference/models`.
Is not: imported by any role. It needs the `miner` extra, Node's `npm` and 60 to 90 minutes of one core.
"""

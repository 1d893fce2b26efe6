"""A dishonest miner, for demonstrations and tests: it commits to two results for one task.

Is: the miner of `node/miner` with one method changed, and a signature made behind the guard's back.
Is not: reachable from `cuckoo-peer`; it is started as `python -m node.devnet.cheat`, with the same flags.
"""

from __future__ import annotations

import dataclasses
import sys

import structlog

from node import cli
from node.commands.errors import show_errors
from node.miner.miner import Miner
from protocol.hashing import sha256
from protocol.messages import ResultCommitment
from protocol.rules import results
from protocol.signature import sign_digest
from protocol.statement import Statement, seal

log = structlog.get_logger()


class EquivocatingMiner(Miner):
    """Tells the network first what it tells its coordinator, then something else."""

    async def publish_commitment(self, statement: Statement[ResultCommitment]) -> None:
        """Publish the honest commitment and a second one for the same task."""
        await super().publish_commitment(statement)
        peer = self._peer
        lie = dataclasses.replace(statement.message, output_hash=sha256(statement.message.output_hash))
        encoded = seal(peer.domain, lie, lambda unsigned: sign_digest(peer.key.secret, unsigned.digest))
        # Not through `Peer.publish`, which would refuse it as every honest peer does.
        await peer.mesh.publish(peer.network.topic(results.TOPIC), encoded)
        log.warning("cheated", task=statement.message.task_id.hex())


if __name__ == "__main__":
    settings = cli.settings_of(sys.argv[1:])
    sys.exit(show_errors(lambda: cli.start(settings, EquivocatingMiner), name="cheat"))

"""Head and table of steps of a package, from the files that will be run.

Is: what is under the `model_id` beside the files, computed again by whoever packs or checks a package.
Packages are anybody's, and by this a contract judges what a miner has done by those.
Is not: torch; `diffusion/networks` compares once more with what was loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from node.inference.diffusion.prng import PRNG_ID
from node.inference.diffusion.replay import REPLAY_NAME, Replay, read_replay, table_bytes
from node.inference.packages.diffusers_folder import latent_of
from node.inference.packages.errors import PackageError
from protocol.model_table import ModelHead, SchedulerRule, rows_root


class PackagedTable(NamedTuple):
    """The part of a package that a contract may be shown. :ivar rows_root: Merkle root of the table."""

    head: ModelHead
    rows_root: bytes


def table_of(root: Path) -> PackagedTable:
    """Head and rows of a package's files.

    :raises PackageError: a file of them is absent or malformed, or they need a rule that is not known.
    """
    replay = read_replay(root / REPLAY_NAME)
    return PackagedTable(head_of(replay, *latent_of(root)), rows_root(table_bytes(replay)))


def head_of(replay: Replay, channels: int, factor: int) -> ModelHead:
    """The head of a table and of latents of such channels and factor.

    :raises PackageError: it needs another seed rule than the known one.
    """
    if replay.prng != PRNG_ID:
        raise PackageError("the package needs a seed rule that is not known here", REPLAY_NAME)
    rule = SchedulerRule.TWO_STEPS if replay.looks_back else SchedulerRule.ONE_STEP
    return ModelHead(scheduler_rule=rule, channels=channels, factor=factor, steps_max=replay.steps_max)

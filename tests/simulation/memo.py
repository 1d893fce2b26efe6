"""Pure results that all simulated nodes share.

Is: while a run lasts, decoding an RPC, hashing a message, opening an envelope, recovering a signer and
re-computing a draw are done once for each value, however many nodes do it.
Is not: a stand-in for any of them, nor for a rule: every node runs the whole of every rule, with a clock and
a memory of its own. Only what is a function of its arguments alone is looked up, so nothing can tell, and
`test_determinism` compares a run with one that shares nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import p2p.gossip.messages
import p2p.gossip.router
import protocol.rules.evidence
import protocol.rules.tasks
import protocol.rules.verdicts
import protocol.rules.view

RESULTS_MAX = 1 << 18
"""Results remembered of one function; then it starts anew."""

Function = Callable[..., Any]

BY_FIRST_ARGUMENT: tuple[tuple[Any, str], ...] = (
    (p2p.gossip.router, "decode_single"),
    (p2p.gossip.router, "decode_rpc"),
    (protocol.rules.view, "read_envelope"),
)
"""Functions whose other arguments are the same for all nodes of a run."""

BY_ALL_ARGUMENTS: tuple[tuple[Any, str], ...] = (
    (p2p.gossip.messages, "message_id"),
    (protocol.rules.tasks, "task_seed"),
)

BY_IDENTITY_OF_FIRST: tuple[tuple[Any, str], ...] = (
    (protocol.rules.tasks, "follows_draw"),
    (protocol.rules.verdicts, "draw_audit"),
)
"""Functions whose first argument is one of a few large values that outlive the run."""


def _remember(function: Function, key_of: Callable[..., Any]) -> Function:
    results: dict[Any, Any] = {}

    def remembered(*arguments: Any) -> Any:
        key = key_of(*arguments)
        found = results.get(key, results)
        if found is results:
            if len(results) >= RESULTS_MAX:
                results.clear()
            found = results[key] = function(*arguments)  # an exception is remembered by nobody
        return found

    return remembered


def _verify_key(domain: Any, envelope: Any, message: Any, encoded: bytes) -> Any:
    return id(domain), encoded


def _evidence_key(domain: Any, evidence: Any, epochs: Any) -> Any:
    return id(domain), evidence, tuple(epochs)


@contextmanager
def shared_results() -> Iterator[None]:
    """Share pure results among all nodes until the context ends.

    The collector of cyclic garbage rests meanwhile: a run leaves hardly any, and looking costs a quarter.
    """
    with ExitStack() as stack:
        if gc.isenabled():
            gc.disable()
            stack.callback(gc.enable)

        def share(module: Any, name: str, key_of: Callable[..., Any]) -> None:
            stack.enter_context(patch.object(module, name, _remember(getattr(module, name), key_of)))

        for module, name in BY_FIRST_ARGUMENT:
            share(module, name, lambda first, *_: first)
        for module, name in BY_ALL_ARGUMENTS:
            share(module, name, lambda *arguments: arguments)
        for module, name in BY_IDENTITY_OF_FIRST:
            share(module, name, lambda first, *rest: (id(first), *map(_hashable, rest)))
        share(protocol.rules.view, "verify", _verify_key)
        share(protocol.rules.evidence, "verify_evidence", _evidence_key)
        yield


def _hashable(argument: Any) -> Any:
    return tuple(argument) if isinstance(argument, list) else argument

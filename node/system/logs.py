"""Logs on standard error: one line an event, for people on a terminal, as JSON for machines elsewhere.

Keys, prompts and passwords are never logged; what a peer sent is logged as hashes and reasons only.
"""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import Processor

NOISY_LIBRARIES = ("libp2p", "httpx2", "httpcore2", "anycorn", "multiaddr", "async_service", "web3")
"""Libraries whose own lines are of use only to who debugs them."""


def configure_logs(level: str, *, as_json: bool) -> None:
    """Send structlog's and the standard library's records to standard error.

    :param level: a name of the standard library's, such as ``INFO``.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in NOISY_LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )

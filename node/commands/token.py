"""`cuckoo-peer token`: tokens for the users of a coordinator's apps, over the running node's socket.

Is: flags and what is printed. Is not: the tokens (`node/api/tokens`), of which the node keeps hashes alone.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cyclopts import App

from node.system.control_client import ask

token = App(
    name="token",
    help="""Give tokens to the users of your apps, each with limits of its own.

The coordinator must be running. What a token may not do is refused; its orders are seen by it
and by you alone.""",
)


@token.command
def new(
    data_dir: Path,
    name: str,
    /,
    *,
    images_per_day: int = 0,
    requests_per_minute: int = 0,
    micro_cai_per_day: int = 0,
    price_max_micro_cai: int = 0,
    models: tuple[str, ...] = (),
    expires_in_days: int = 0,
) -> None:
    """Make a token and print it. It is shown this once; the node keeps its hash.

    Parameters
    ----------
    data_dir
        Data directory of the coordinator.
    name
        Name of the token, by which it is listed and revoked.
    images_per_day
        Pictures a day, UTC; 0: any number.
    requests_per_minute
        Requests for pictures a minute; 0: any number.
    micro_cai_per_day
        Millionths of a CAI spent a day, UTC; 0: any.
    price_max_micro_cai
        Most for one picture, in millionths of a CAI; 0: whatever the node pays.
    models
        Names of the models that it may use; default: all.
    expires_in_days
        Days after which it stops working; 0: never.
    """
    expires_at = datetime.now(UTC) + timedelta(days=expires_in_days)
    argument = {
        "name": name,
        "images_per_day": images_per_day,
        "requests_per_minute": requests_per_minute,
        "micro_cai_per_day": micro_cai_per_day,
        "price_max_micro_cai": price_max_micro_cai,
        "models": ",".join(models),
        "expires_at_ms": int(expires_at.timestamp() * 1000) if expires_in_days else 0,
    }
    print(ask(data_dir, "token_new", argument)["token"])


@token.command(name="list")
def list_(data_dir: Path, /) -> None:
    """Print all tokens with their limits and the use of their last days, as JSON.

    Parameters
    ----------
    data_dir
        Data directory of the coordinator.
    """
    print(json.dumps(ask(data_dir, "token_list", {}), indent=2))


@token.command
def revoke(data_dir: Path, name: str, /) -> None:
    """Let a token be none, at once; what it has under way ends.

    Parameters
    ----------
    data_dir
        Data directory of the coordinator.
    name
        Name of the token.
    """
    ask(data_dir, "token_revoke", {"name": name})
    print(f"revoked: {name}")

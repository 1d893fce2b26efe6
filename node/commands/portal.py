"""`cuckoo-peer portal`: a way into the running node's own part of its portal.

Is: asking the node over its socket, and printing the link. Is not: the code in it (`node/portal/sessions`).
"""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from node.system.control_client import RequestRefused, ask
from protocol.errors import LocalError

portal = App(name="portal", help="Open the portal of your running node with what is yours alone.")


@portal.command(name="open")
def open_(data_dir: Path, /) -> None:
    """Print a link that opens the portal with a session of yours. It is good once, for a minute.

    Parameters
    ----------
    data_dir
        Data directory of the node, which must be running.
    """
    try:
        answer = ask(data_dir, "portal_open", {})
    except RequestRefused as error:
        if error.code != "bad_request":
            raise
        # It does not know the act.
        raise LocalError(
            f"the node on {data_dir} serves no portal; start it without --portal-port -1; "
            "a bootstrap peer has none"
        ) from error
    print(answer["url"])

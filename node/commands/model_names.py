"""`cuckoo-peer model names …`: which model a name stands for at a coordinator, and changing that.

Is: flags and what is printed; the node need not be stopped. Is not: the table (`coordinator/model_names`).
"""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from node.commands.model import parse_model_id
from protocol.errors import LocalError

names = App(name="names", help="Show and change which model a name stands for at a coordinator.")


class NoNames(LocalError):
    """The folder is not that of a coordinator that has known any model. :ivar folder: it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} has no names of models; is it the data directory of a coordinator?")
        self.folder = folder


class UnknownName(LocalError):
    """The name stands for nothing. :ivar name: it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the name {name!a} stands for no model here")
        self.name = name


@names.command(name="list")
def list_(data_dir: Path, /) -> None:
    """List the names, the models that they stand for, and by whose word.

    Parameters
    ----------
    data_dir
        Of the coordinator.
    """
    from node.coordinator.model_names import open_model_names  # noqa: PLC0415 - `--help` should not wait

    _require_names(data_dir)
    with open_model_names(data_dir) as table:
        for binding in table.all():
            print(f"{binding.model_id.hex()} {binding.claim.name.lower():<8} {binding.name}")


@names.command(name="set")
def set_(data_dir: Path, name: str, model_id: str, /) -> None:
    """Let a name stand for a model from now on, whatever it stood for.

    Parameters
    ----------
    data_dir
        Of the coordinator.
    name
        As requests say it.
    model_id
        64 hexadecimal digits.
    """
    from node.coordinator.model_names import Claim, open_model_names  # noqa: PLC0415 - as above

    wanted = parse_model_id(model_id)
    with open_model_names(data_dir) as table:
        table.bind(name, wanted, Claim.OPERATOR)
    print(f"{wanted.hex()} operator {name}")


@names.command
def forget(data_dir: Path, name: str, /) -> None:
    """Let a name stand for nothing; the next model of that name takes it.

    Parameters
    ----------
    data_dir
        Of the coordinator.
    name
        As requests say it.
    """
    from node.coordinator.model_names import open_model_names  # noqa: PLC0415 - as above

    _require_names(data_dir)
    with open_model_names(data_dir) as table:
        if not table.forget(name):
            raise UnknownName(name)
    print(f"forgot {name}")


def _require_names(data_dir: Path) -> None:
    """:raises NoNames: no coordinator has kept names there."""
    from node.coordinator.model_names import NAMES_FILE  # noqa: PLC0415 - as above

    if not (data_dir / NAMES_FILE).is_file():
        raise NoNames(data_dir)

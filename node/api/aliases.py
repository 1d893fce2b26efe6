"""Names that apps have built in, and the models that stand behind them here by the operator's choice."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from protocol.errors import LocalError

ALIASES_MAX: Final = 64
_ALIAS: Final = re.compile(
    r"(?P<name>[A-Za-z0-9._:/-]{1,64})=(?P<model>[a-z0-9][a-z0-9._@-]{0,136}?)"
    r"(@(?P<width>[1-9][0-9]{0,4})x(?P<height>[1-9][0-9]{0,4}))?"
)


class BadAlias(LocalError):
    """An alias in the settings is not of the form, or one too many. :ivar text: it."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"--model-alias {text!a}: {reason}")
        self.text = text


@dataclass(frozen=True, slots=True)
class Alias:
    """One alias.

    :ivar name: what apps send.
    :ivar model: name, or name and digits of the id, of the model behind it.
    :ivar size: width and height in pixels of its pictures when the app asks for a size that the model does
        not have; None to refuse such an app.
    """

    name: str
    model: str
    size: tuple[int, int] | None = None


def parse_aliases(texts: Iterable[str]) -> dict[str, Alias]:
    """Aliases by name, from texts such as `dall-e-3=cuckoo-icons@32x32`.

    :raises BadAlias: a text is of another form, a name comes twice, or there are more than `ALIASES_MAX`.
    """
    aliases: dict[str, Alias] = {}
    for text in texts:
        match = _ALIAS.fullmatch(text)
        if match is None:
            raise BadAlias(text, "it is not NAME=MODEL or NAME=MODEL@WIDTHxHEIGHT")
        if match["name"] in aliases:
            raise BadAlias(text, "the name has an alias already")
        if len(aliases) == ALIASES_MAX:
            raise BadAlias(text, f"there are more than {ALIASES_MAX} aliases")
        size = (int(match["width"]), int(match["height"])) if match["width"] else None
        aliases[match["name"]] = Alias(match["name"], match["model"], size)
    return aliases

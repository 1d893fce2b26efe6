"""Fields of a body, typed and in their bounds, or refused by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from node.coordinator.requests import BadRequest

NUMBER_MAX: Final = 1e6
"""Above any bound of a number with a fraction."""


class Fields:
    """A body. A field that is absent takes its default; what is null does not get here."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = dict(body)

    def __contains__(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self._body

    def names(self) -> list[str]:
        """Of all fields, in order."""
        return sorted(self._body)

    def text(self, name: str, default: str = "") -> str:
        """Text that UTF-8 can carry. :raises BadRequest: it is not."""
        value = self._body.get(name, default)
        if not isinstance(value, str):
            raise BadRequest(name, f"{name} is not text")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            reason = f"{name} is not text: character {error.start + 1} is half of a surrogate pair"
            raise BadRequest(name, reason) from error
        return value

    def take(self, name: str) -> str:
        """Text of a field, which is gone then, since an image is long. :raises BadRequest: it is not."""
        value = self.text(name)
        self._body.pop(name, None)
        return value

    def choice(self, name: str, allowed: Collection[str], default: str = "") -> str:
        """One of a few words. :raises BadRequest: it is not."""
        value = self.text(name, default)
        if name in self._body and value not in allowed:
            raise BadRequest(name, f"{name} is not one of {', '.join(allowed)}")
        return value

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number in its bounds. :raises BadRequest: it is not."""
        value = self._body.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise BadRequest(name, f"{name} is not a whole number of {least} to {most}")
        return value

    def milli(self, name: str, default_milli: int) -> int:
        """A number in thousandths; -1, which nothing allows, if it is infinite, or far out of any range.

        :raises BadRequest: it is not a number.
        """
        if name not in self._body:
            return default_milli
        value = self._body[name]
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise BadRequest(name, f"{name} is not a number")
        return round(value * 1000) if 0 <= value <= NUMBER_MAX else -1

    def flag(self, name: str) -> bool:
        """True or false, which is the default. :raises BadRequest: it is neither."""
        value = self._body.get(name, False)
        if not isinstance(value, bool):
            raise BadRequest(name, f"{name} is not true or false")
        return value

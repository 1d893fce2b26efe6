"""The words of `/openapi.json` about a route: plain values, and the schemas that dialects share.

Is: one operation. Is not: the document (`openapi`), or a check of what is sent, which the handlers make.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

Schema: TypeAlias = dict[str, Any]
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    :ivar summary: in a line.
    :ivar answer: schema of its answer; with a body that is not JSON, of nothing.
    :ivar body: schema of what is sent; None for nothing.
    :ivar body_type: media type of that.
    :ivar answer_types: media types of the answer.
    :ivar status: of the answer.
    :ivar query: parameters of the query, by name.
    """

    summary: str
    answer: Schema
    body: Schema | None = None
    body_type: str = JSON
    answer_types: tuple[str, ...] = (JSON,)
    status: int = 200
    query: Mapping[str, Schema] = field(default_factory=dict)


ANY: Final[Schema] = {}
TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
WHOLE: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
FILE: Final[Schema] = {"type": "string", "format": "binary"}


def listed(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def optional(schema: Schema) -> Schema:
    """The same, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def numbered(least: float, most: float, kind: str = "integer") -> Schema:
    """A number within bounds."""
    return {"type": kind, "minimum": least, "maximum": most}


def answered(**properties: Schema) -> Schema:
    """An object of an answer, which has all of these, and may have more."""
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def asked(
    properties: Mapping[str, Schema], required: Collection[str] = (), *, nullable: bool = True
) -> Schema:
    """An object of a request, which has no others. :param nullable: null counts as absent."""
    shown = {
        name: optional(schema) if nullable and name not in required else schema
        for name, schema in sorted(properties.items())
    }
    return {
        "type": "object",
        "properties": shown,
        "required": sorted(required),
        "additionalProperties": False,
    }

"""`/openapi.json`: all routes of all dialects, as OpenAPI 3.1. Open, since it says nothing of this node.

Is: the document, made from the route table and what each dialect says of its routes; a test holds that no
route is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from node.api.described import JSON, Operation, Schema, answered
from node.api.dialect import Dialect

VERSION: Final = "3.1.0"
_PARAMETER: Final = re.compile(r"\{(\w+)(?::\w+)?\}")
PROBE: Final = answered()
OPEN: Final = {
    "GET /": Operation("A page for people", {}, answer_types=("text/html",)),
    "GET /healthz": Operation("Whether the node is alive", PROBE),
    "GET /readyz": Operation("Whether it can work, and why not (503)", PROBE),
    "GET /openapi.json": Operation("This document", {"type": "object"}),
}
"""Routes of no dialect."""
SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic", "description": "under /sdapi/: the password is the token"},
    "apikey": {"type": "apiKey", "in": "header", "name": "apikey", "description": "under /api/v2/"},
}


def path_of(route_path: str) -> str:
    """A route's path as OpenAPI writes it."""
    return _PARAMETER.sub(r"{\1}", route_path)


def document(dialects: Iterable[Dialect], base_url: str) -> dict[str, Any]:
    """The document. :param base_url: of this node."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Schema] = {}
    for name, operation in OPEN.items():
        _add(paths, name, operation, {"type": "object"}, is_open=True)
    for dialect in dialects:
        error = f"{dialect.name}_error"
        schemas[error] = dict(dialect.error)
        open_paths = {path_of(route.path) for route in dialect.open_routes}
        for name, operation in dialect.operations.items():
            is_open = name.partition(" ")[2] in open_paths
            _add(paths, name, operation, {"$ref": f"#/components/schemas/{error}"}, is_open=is_open)
    return {
        "openapi": VERSION,
        "info": {"title": "Cuckoo coordinator", "version": "1", "license": {"name": "MIT"}},
        "servers": [{"url": base_url}],
        "security": [{name: []} for name in SCHEMES],
        "paths": paths,
        "components": {"securitySchemes": SCHEMES, "schemas": schemas},
    }


def _add(
    paths: dict[str, dict[str, Any]], name: str, operation: Operation, error: Schema, *, is_open: bool
) -> None:
    method, _, path = name.partition(" ")
    answer = {
        media: {"schema": operation.answer} if media == JSON else {} for media in operation.answer_types
    }
    responses = {str(operation.status): {"description": operation.summary, "content": answer}}
    if operation.status != 200:  # noqa: PLR2004 - an answer without work
        responses["200"] = responses[str(operation.status)]
    responses["default"] = {"description": "An error", "content": {JSON: {"schema": error}}}
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": re.sub(r"\W+", "_", name).strip("_"),
        "parameters": _parameters(path, operation.query),
        "responses": responses,
    }
    if operation.body is not None:
        content = {operation.body_type: {"schema": operation.body}}
        described["requestBody"] = {"required": True, "content": content}
    if is_open:
        described["security"] = []
    paths.setdefault(path, {})[method.lower()] = described


def _parameters(path: str, query: Mapping[str, Schema]) -> list[dict[str, Any]]:
    text = {"type": "string", "minLength": 1}
    within = [
        {"name": name, "in": "path", "required": True, "schema": text} for name in _PARAMETER.findall(path)
    ]
    return within + [{"name": name, "in": "query", "schema": schema} for name, schema in query.items()]

"""The routes of the dialect."""

from __future__ import annotations

from starlette.routing import Route

from node.api.dialect import Dialect
from node.api.openai.errors import wording
from node.api.openai.images import Images
from node.api.openai.models import Models
from node.api.openai.operations import ERROR, OPERATIONS
from node.api.services import Services


def openai_dialect(services: Services) -> Dialect:
    """The dialect, over a coordinator."""
    images, models = Images(services), Models(services)
    routes = (
        Route("/v1/models", models.all),
        # An alias may have a slash in it.
        Route("/v1/models/{model:path}", models.retrieve),
        Route("/v1/images/generations", images.generate, methods=["POST"]),
        Route("/v1/images/edits", images.edit, methods=["POST"]),
    )
    return Dialect("openai", "/", wording, ERROR, OPERATIONS, routes)

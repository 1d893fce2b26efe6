"""Orders of the node's own people that come from its portal, on the same way as those of apps.

Is: pictures asked for, watched, cancelled, listed and forgotten, all under one beginning of their names, so
that nothing else is reached by it.
Is not: HTTP, or who may ask; the portal lets nobody here without a session.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from node.api.openai.images import Images
from node.api.services import Services
from node.api.serving import Placed, RequestName
from node.api.tokens.caller import OPERATOR
from node.coordinator.offered import OfferedModel
from protocol.hashing import sha256
from protocol.receipt import Receipt

PREVIEWS: Final = 3
"""Unfinished pictures on the way to one."""
KEY: Final = "portal-"
"""Before the names that the portal gives. An app of the operator's that begins its own so shares the list."""


class OwnOrders:
    """Those of one coordinator. Names are texts of the caller's, one a picture."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._images = Images(services)

    def models(self) -> list[OfferedModel]:
        """Models that live miners serve, by name."""
        return self._services.coordinator.offered_models()

    @asynccontextmanager
    async def placed(self, wish: Mapping[str, Any], name: str) -> AsyncIterator[Placed]:
        """Place an order for one picture, and watch it; it goes on when the context ends.

        :param wish: fields of `/v1/images/generations`, for one picture.
        :param name: asking again under it finds the order, or what it came to.
        :raises Refusal: it is not taken.
        """
        body = json.dumps(dict(wish) | {"n": 1, "stream": True, "partial_images": PREVIEWS}).encode()
        generation = await self._images.parse_generation(body)
        request_name = RequestName(KEY + name, sha256(body), OPERATOR)
        serving = self._services.serving
        with serving.admitted(generation.requests, request_name) as admitted:
            async with serving.placed(admitted, request_name, 0) as placed:
                yield placed

    def cancel(self, name: str) -> bool:
        """Cancel a live order. Whether there was one of that name."""
        coordinator = self._services.coordinator
        orders = coordinator.live_orders(_key(name))
        for order in orders:
            coordinator.cancel(order.order_id, "its owner cancelled it in the portal")
        return bool(orders)

    def receipts(self, offset: int, limit: int) -> list[Receipt]:
        """Of delivered pictures, the newest first."""
        tasks = self._services.coordinator.named_tasks(_PREFIX, offset, limit)
        return [receipt for task_id in tasks if (receipt := self.receipt(task_id)) is not None]

    def receipt(self, task_id: bytes) -> Receipt | None:
        """Of one, if it is of these."""
        coordinator = self._services.coordinator
        return coordinator.receipt(task_id) if coordinator.is_named(_PREFIX, task_id) else None

    def picture(self, task_id: bytes) -> bytes | None:
        """The picture (PNG) of one, if it is of these and still kept."""
        coordinator = self._services.coordinator
        return coordinator.output(task_id) if coordinator.is_named(_PREFIX, task_id) else None

    def forget(self, task_id: bytes) -> bool:
        """Forget one, its picture and its receipt, if it is of these. Whether it was."""
        coordinator = self._services.coordinator
        is_own = coordinator.is_named(_PREFIX, task_id)
        if is_own:
            coordinator.forget(task_id)
        return is_own


def _key(name: str) -> str:
    return RequestName(KEY + name, b"", OPERATOR).key_of(0)


_PREFIX: Final = _key("").removesuffix("/0")

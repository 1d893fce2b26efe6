"""`/` in a browser: what this node is, its models, and how to get a token. One page, no script."""

from __future__ import annotations

import html
from pathlib import Path
from string import Template
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from node.api.services import Services

PAGE: Final = Template((Path(__file__).parent / "home.html").read_text())
MODELS_SHOWN_MAX: Final = 100
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}


class Home:
    """The handler."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def page(self, request: Request) -> Response:
        """`GET /`. Needs no token, and says nothing that a peer of the network does not see."""
        offered = self._services.coordinator.offered_models()
        rows = [
            f"<tr><td><code>{html.escape(model.name)}</code><td>{_sizes(model.sizes)}"
            f"<td>{_price(model.price_micro_cai)}<td>{model.miners}"
            for model in offered[:MODELS_SHOWN_MAX]
        ]
        if len(offered) > MODELS_SHOWN_MAX:
            rows.append(f"<tr><td colspan=4>and {len(offered) - MODELS_SHOWN_MAX} more in /v1/models")
        reasons = self._services.context.readiness.status().reasons.values()
        state = "; ".join(reasons) if reasons else "ready"
        page = PAGE.substitute(
            models="\n".join(rows) or "<tr><td colspan=4>no miner offers a model right now",
            state=html.escape(state),
            base_url=html.escape(self._services.base_url(request.scope)),
        )
        return HTMLResponse(page, headers=HEADERS)


def _sizes(sizes: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(f"{width}x{height}" for width, height in sizes)


def _price(price_micro_cai: int | None) -> str:
    return "" if price_micro_cai is None else f"{price_micro_cai:,}"

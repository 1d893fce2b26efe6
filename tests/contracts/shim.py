"""An RPC between the client and a real anvil that answers as other public RPCs do."""

from __future__ import annotations

import json

import httpx2


class Shim(httpx2.AsyncBaseTransport):
    """`hook(method, params, forward)` answers a call, or ``None`` to let anvil; `forward(params)` asks it."""

    def __init__(self, hook):
        self._inner = httpx2.AsyncHTTPTransport()
        self._hook = hook

    async def handle_async_request(self, request):
        body = json.loads(await request.aread())

        async def forward(params=None):
            sent = body if params is None else {**body, "params": params}
            headers = {"content-type": "application/json"}
            plain = httpx2.Request("POST", request.url, headers=headers, content=json.dumps(sent).encode())
            response = await self._inner.handle_async_request(plain)
            return json.loads(await response.aread())

        answer = await self._hook(body["method"], body["params"], forward)
        if answer is None:
            answer = await forward()
        return httpx2.Response(200, json={"jsonrpc": "2.0", **answer, "id": body["id"]})

    async def aclose(self):
        await self._inner.aclose()


class Shims(httpx2.AsyncBaseTransport):
    """Several endpoints before one anvil, by host, each with a hook of its own."""

    def __init__(self, endpoint, **hooks):
        self._endpoint = httpx2.URL(endpoint)
        self._shims = {name: Shim(hook) for name, hook in hooks.items()}
        self.urls = [f"http://{name}.example" for name in hooks]

    async def handle_async_request(self, request):
        shim = self._shims[request.url.host.partition(".")[0]]
        request.url = self._endpoint
        return await shim.handle_async_request(request)

    async def aclose(self):
        for shim in self._shims.values():
            await shim.aclose()

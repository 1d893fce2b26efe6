"""The stock client of the Model Context Protocol, run by this folder's own Python; prints JSON."""

import asyncio
import base64
import json
import os
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main():
    headers = {"Authorization": f"Bearer {os.environ['API_TOKEN']}"}
    async with httpx2.AsyncClient(headers=headers, timeout=120, trust_env=False) as http:
        url = f"{os.environ['API_URL']}/mcp"
        # By handshake, as clients up to revision 2025-11-25 do.
        async with Client(streamable_http_client(url, http_client=http), mode="legacy") as client:
            older = [client.protocol_version, len((await client.list_tools()).tools)]
            listed = await client.call_tool("list_models", {})
        # And as it does by itself: the newest revision that both sides speak.
        async with Client(streamable_http_client(url, http_client=http)) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            made = await client.call_tool("generate_image", {"prompt": "a red apple", "steps": 4})
            image, text = made.content
            task = json.loads(text.text)["task"]
            edited = await client.call_tool("edit_image", {"prompt": "a yellow apple", "image": image.data})
            verified = await client.call_tool("verify_receipt", {"task": task})
            explained = await client.call_tool("explain", {"task": task})
            refused = await client.call_tool("generate_image", {"prompt": " "})
            found = {
                "older": [*older, json.loads(listed.content[0].text)["models"][0]["name"]],
                "newest": client.protocol_version,
                "tools": tools,
                "beginning": base64.b64decode(image.data)[1:4].decode(),
                "edited": edited.content[0].type,
                "valid": json.loads(verified.content[0].text)["valid"],
                "outcome": json.loads(explained.content[0].text)["outcome"].partition(" 0x")[0],
                "refused": [refused.is_error, refused.content[0].text],
            }
            sys.stdout.write(json.dumps(found))


asyncio.run(main())

"""litellm, and under it the newest openai SDK for Python, run by this folder's own Python; prints JSON."""

import asyncio
import base64
import io
import json
import os
import sys

import litellm

# It would print advice among what is read here.
litellm.suppress_debug_info = True
NODE = {"api_base": f"{os.environ['API_URL']}/v1", "api_key": os.environ["API_TOKEN"]}


def generate(**wished):
    return litellm.image_generation(
        **{"model": "openai/cuckoo-icons", "prompt": "a red apple"} | NODE | wished
    )


def refused(**wished):
    try:
        generate(**wished)
    except (litellm.BadRequestError, litellm.NotFoundError, litellm.AuthenticationError) as error:
        return (
            f"{type(error).__name__} {error.status_code} {str(error).rpartition(' - ')[2].partition(';')[0]}"
        )
    return "nothing"


def main():
    plain = generate()
    two = generate(n=2, size="32x32", output_format="webp", quality="high", user="ann")
    later = asyncio.run(litellm.aimage_generation(prompt="a red apple", model="openai/cuckoo-icons", **NODE))
    image = io.BytesIO(base64.b64decode(plain.data[0].b64_json))
    image.name = "apple.png"
    edited = litellm.image_edit(image=[image], prompt="a yellow apple", model="openai/cuckoo-icons", **NODE)
    found = {
        "plain": [plain.size, base64.b64decode(plain.data[0].b64_json)[1:4].decode()],
        "two": [two.size, *[base64.b64decode(item.b64_json)[8:12].decode() for item in two.data]],
        "async": len(later.data),
        "edited": base64.b64decode(edited.data[0].b64_json)[1:4].decode(),
        "empty": refused(prompt=" "),
        "unknown": refused(model="openai/nothing"),
        "size": refused(size="512x512"),
        "token": refused(api_key="wrong"),
    }
    sys.stdout.write(json.dumps(found))


main()

"""A plain server of pictures, as tutorials have it: FastAPI, a pipeline of diffusers, one request at a time.

    tests/clients/.venv/bin/python plain_server.py MODEL_FOLDER THREADS PORT

Is: what `tests.bench.app` holds the market against: the same model, steps and threads, and nothing else, no
signature, trace or payment. Is not: imported; FastAPI is in the environment of the stock clients, torch and
diffusers come from the project's by `PYTHONPATH`.
"""

import base64
import io
import sys
import threading

import fastapi
import pydantic
import torch
import uvicorn
from diffusers import StableDiffusionPipeline

folder, threads, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
pipeline = StableDiffusionPipeline.from_pretrained(
    folder,
    dtype=torch.float32,
    safety_checker=None,
    feature_extractor=None,
    requires_safety_checker=False,
    use_safetensors=True,
    local_files_only=True,
)
pipeline.set_progress_bar_config(disable=True)
working = threading.Lock()
app = fastapi.FastAPI()


class Wish(pydantic.BaseModel):
    """A body of OpenAI's."""

    prompt: str
    steps: int
    guidance: float
    seed: int


@app.post("/v1/images/generations")
def generate(wish: Wish) -> dict[str, object]:
    """One picture."""
    with working, torch.inference_mode():
        image = pipeline(
            wish.prompt,
            num_inference_steps=wish.steps,
            guidance_scale=wish.guidance,
            generator=torch.Generator().manual_seed(wish.seed),
        ).images[0]
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return {"data": [{"b64_json": base64.b64encode(buffer.getvalue()).decode()}]}


uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")

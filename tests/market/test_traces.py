"""What a miner committed to of its work is on its disk, and is the work."""

import base64
import subprocess
import sys
import time
from pathlib import Path

import pytest

from node.inference.diffusion.prng import initial_latent
from node.inference.diffusion.replay import REPLAY_NAME, advance, guide, read_replay
from node.inference.packages.package import load
from node.inference.traces.trace_file import TraceFile
from node.settings import embedded_folders
from protocol.hashing import sha256
from protocol.receipt import verify_document
from protocol.tensor import tensor_hash
from protocol.trace import TraceBinding, steps_root
from tests.limits import CHILD_TIMEOUT_S
from tests.node.inference.exactness import numbers

pytestmark = pytest.mark.process

STEPS, GUIDANCE, SEED = 4, 3.0, 77


def test_committed_root_is_that_of_the_kept_trace_of_this_very_job(market):
    package = load(embedded_folders()[0])
    body = {"prompt": "a cat", "steps": STEPS, "seed": SEED, "guidance": GUIDANCE}
    with market.client() as client:
        response = client.post("/v1/images/generations", json=body)
        assert response.status_code == 200, response.text
        answer = response.json()
        task_id = answer["cuckoo"]["tasks"][0]
        receipt = verify_document(client.get(f"/v1/cuckoo/tasks/{task_id}").json())
    image = base64.b64decode(answer["data"][0]["b64_json"])
    commitment = receipt.commitment
    miner = commitment.signer.address
    names = {address: name for name, address in market.description["addresses"].items()}
    node = market.description["nodes"][names["0x" + miner.hex()]]
    path = Path(node["data_dir"]) / "traces" / f"{commitment.message.task_id.hex()}.trace"
    with TraceFile(path) as trace:
        binding = TraceBinding(commitment.message.task_id, miner, package.model_id, STEPS, sha256(image))
        root = binding.root(steps_root(trace.leaves), trace.final_latent)
        assert commitment.message.trace_root == root
        first = trace.tensors(0)
        assert first[0] == initial_latent(SEED, (4, 8, 8)).astype("<f2").tobytes()
        latent, unconditional, conditional = (numbers(part) for part in first)
        step = read_replay(package.folder / REPLAY_NAME).steps(STEPS)[0]
        moved = advance(step, latent, guide(unconditional, conditional, int(GUIDANCE * 1000)), None)
        assert tensor_hash(moved.tobytes()) == trace.leaves[1].latent


def test_a_running_miner_tells_how_it_is(market):
    nodes = [node for name, node in market.description["nodes"].items() if name.startswith("miner")]
    assert nodes
    for node in nodes:
        run = subprocess.run(
            [sys.executable, "-m", "node.cli", "miner", "status", node["data_dir"]],
            capture_output=True,
            text=True,
            timeout=CHILD_TIMEOUT_S,
        )
        assert run.stdout.startswith("working, as of"), run.stderr
        assert "ms an image" in run.stdout


def test_the_dice_of_a_picture_are_thrown_after_its_deadline_and_name_two_auditors(market):
    """On a devnet all work is selected; the block of the dice comes a second after the deadline, or two."""
    with market.client() as client:
        answer = client.post(
            "/v1/images/generations", json={"prompt": "a dog", "steps": 18, "seed": 5}
        ).json()
        task_id = answer["cuckoo"]["tasks"][0]
        receipt = verify_document(client.get(f"/v1/cuckoo/tasks/{task_id}").json())
        task, miner = receipt.announcement.message, receipt.commitment.signer.address

        def audits():
            return client.get(f"/v1/cuckoo/tasks/{task_id}/explain").json()["audits"]

        ends_s = task.deadline_ms / 1000 + CHILD_TIMEOUT_S
        while "give the dice" not in (told := audits())[0]:
            assert time.time() < ends_s, told
            time.sleep(0.5)
    assert told[1].endswith(f"below 100 % the work of 0x{miner.hex()} is audited")
    others = set(market.description["addresses"].values()) - {f"0x{miner.hex()}"}
    drawn = [line.partition(" of ")[0].split() for line in told if " checks steps " in line]
    assert len(drawn) == 2
    assert {words[0] for words in drawn} <= others
    steps = [word.rstrip(",") for words in drawn for word in words if word.rstrip(",").isdigit()]
    assert len(set(steps)) == len(steps) == 6

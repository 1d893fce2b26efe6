"""What a page checks by itself: the draw, and a receipt; and that its copies of noble are noble's.

A newer version: install it in `tests/interop`, copy the files, change each line that begins with ``import``
as :func:`as_copied` does, and name the version in the copies' README.
"""

import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from node.portal import files
from protocol.draw import Snapshot, rank_for_task, ranking, task_seed
from protocol.messages import PassedOver

CHECKS = Path(files.__file__).parent / "static" / "checks"
COPIES = sorted((CHECKS / "noble").rglob("*.js"))
PACKAGES = Path(__file__).parents[2] / "interop" / "node_modules" / "@noble"
VECTORS = Path(__file__).parents[2] / "vectors"
TASKS = 20

with_node = pytest.mark.skipif(shutil.which("node") is None, reason="the pages' checks: no node")
with_packages = pytest.mark.skipif(
    not PACKAGES.is_dir(), reason="noble's packages: bring them with make setup"
)


def as_copied(path, text):
    """A package's file as the copy at `path` has it."""
    up = "../" * (len(path.relative_to(CHECKS / "noble").parts) - 1)
    return re.sub(r"^(import .*)'@noble/hashes/", rf"\1'{up}hashes/", text, flags=re.MULTILINE)


@with_packages
@pytest.mark.parametrize("path", COPIES, ids=lambda path: path.name)
def test_a_copy_of_noble_is_noble(path):
    original = PACKAGES / path.relative_to(CHECKS / "noble")
    assert path.read_text() == as_copied(path, original.read_text())


@with_packages
@pytest.mark.parametrize("package", ["hashes", "curves"])
def test_its_licence_and_version_stand_beside_it(package):
    there = PACKAGES / package
    version = json.loads((there / "package.json").read_text())["version"]
    assert f"| {version} | MIT," in (CHECKS / "noble" / "README.md").read_text()
    assert (CHECKS / "noble" / package / "LICENSE").read_text() == (there / "LICENSE").read_text()


def run(tmp_path, script, document):
    """What a script prints, that has the checks at `./checks/` and a document on standard input."""
    (tmp_path / "checks").symlink_to(CHECKS)
    (tmp_path / "run.mjs").write_text(
        'import { readFileSync } from "node:fs";\nconst given = JSON.parse(readFileSync(0));\n' + script
    )
    done = subprocess.run(
        ["node", "run.mjs"], cwd=tmp_path, input=json.dumps(document), capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


DRAW = """
import { fromHex } from "./checks/bytes.js";
import { rankForTask, ranking, taskSeed } from "./checks/draw.js";
const miners = given.miners.map(([address, weight]) => ({ address, weight: BigInt(weight) }));
const told = given.tasks.map(({ number, passed, wanted }) => {
  const seed = taskSeed(fromHex(given.seed), fromHex(given.coordinator), number);
  return [ranking(miners, seed, 64), rankForTask(miners, seed, (address) => passed[address] ?? 0, wanted)];
});
console.log(JSON.stringify(told));
"""


@pytest.mark.process
@with_node
def test_the_draw_of_twenty_tasks_is_the_coordinators(tmp_path):
    chance = random.Random(5)
    stakes = [(chance.randbytes(20), chance.randrange(1, 10**9) * 10**15) for _ in range(300)]
    snapshot = Snapshot.of([*stakes, (bytes(20), 1)])  # which is less than what counts
    seed, coordinator = chance.randbytes(32), chance.randbytes(20)
    tasks, expected = [], []
    for number in range(TASKS):
        passed = {
            miner: PassedOver(chance.randrange(1, 5))
            for miner, _ in stakes
            if chance.random() < number / TASKS
        }
        drawn = task_seed(seed, coordinator, number * 10**17)
        every = [miner.hex() for _, miner in zip(range(64), ranking(snapshot, drawn), strict=False)]
        places = rank_for_task(snapshot, drawn, lambda miner, passed=passed: passed.get(miner, 0), 3)
        expected.append([every, [[place.miner.hex(), place.passed_over] for place in places]])
        reasons = {miner.hex(): int(reason) for miner, reason in passed.items()}
        tasks.append({"number": str(number * 10**17), "passed": reasons, "wanted": 3})
    miners = [
        [miner.hex(), str(weight)] for miner, weight in zip(snapshot.miners, snapshot.weights, strict=True)
    ]
    document = {"seed": seed.hex(), "coordinator": coordinator.hex(), "miners": miners, "tasks": tasks}
    assert run(tmp_path, DRAW, document) == expected


RECEIPTS = """
import { fromHex } from "./checks/bytes.js";
import { verify } from "./checks/receipt.js";
const picture = fromHex(given.picture);
const outcome = ([document, output]) => {
  try {
    const shown = output === null ? null : output ? picture : picture.subarray(1);
    const { priceMicroCai, ...told } = verify(document, shown);
    return { ...told, price: String(priceMicroCai) };
  } catch (error) {
    return error.code ?? String(error);
  }
};
console.log(JSON.stringify(given.cases.map(outcome)));
"""


def changed(document, *path, to):
    """A copy of a document with another value at a path."""
    copy = json.loads(json.dumps(document))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to(place[path[-1]]) if callable(to) else to
    return copy


def flip(digits):
    """Another signature: the last byte but one is changed, which is in `s`."""
    return digits[:-4] + f"{int(digits[-4:-2], 16) ^ 1:02x}" + digits[-2:]


@pytest.mark.process
@with_node
def test_a_receipt_is_checked_in_the_page__and_a_false_one_is_told_by_what_is_false(tmp_path):
    vectors = json.loads((VECTORS / "receipt.json").read_text())
    good = vectors["document"]
    cases = {
        "picture": (good, False),
        "form": (changed(good, "format", to="cuckoo-receipt/2"), True),
        "task": (changed(good, "task_id", to="00" * 32), True),
        "epoch": (changed(good, "epoch", "number", to=8), True),
        "coordinator": (changed(good, "epoch", "coordinator_weight_micro_cai", to="0"), True),
        "draw": (changed(good, "epoch", "seed", to="11" * 32), True),
        "signer": (changed(good, "announcement", to=flip), True),
    }
    more = [
        ("draw", (changed(good, "epoch", "miners", to=lambda miners: miners[1:]), True)),
        ("draw", (changed(good, "epoch", "miners", to=[]), True)),
        ("form", (changed(good, "epoch", "miners", to=lambda miners: [*miners, miners[0]]), True)),
        ("form", (changed(good, "epoch", "miners", 0, "weight_micro_cai", to="-"), True)),
        ("form", (changed(good, "acceptance", to=good["commitment"]), True)),
        ("form", (changed(good, "commitment", to="00"), True)),
        ("form", (changed(good, "commitment", to=7), True)),
        ("form", ({}, True)),
        ("form", (None, True)),
        ("signer", (changed(good, "chain_id", to=1), True)),
    ]
    expected = [*cases, *(code for code, _ in more)]
    given = [(good, True), (good, None), *cases.values(), *(case for _, case in more)]
    whole, alone, *refused = run(tmp_path, RECEIPTS, {"picture": vectors["image"], "cases": given})
    assert whole == alone
    assert whole["taskId"] == "0x" + good["task_id"]
    assert (whole["epoch"], whole["price"], len(whole["ranking"])) == (7, "2500000", 4)
    assert refused == expected

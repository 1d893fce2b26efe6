"""Head and table of a package: what stands under its id is what will be run, or the package is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from node.inference.diffusion.prng import PRNG_ID
from node.inference.diffusion.replay import REPLAY_NAME, Replay, read_replay, write_replay
from node.inference.packages.errors import PackageError
from node.inference.packages.manifest import Manifest, write_manifest
from node.inference.packages.package import load, model_id_of, pack, verify
from node.inference.packages.table import PackagedTable, head_of, table_of
from protocol.merkle import merkle_proof, proves
from protocol.model_table import SchedulerRule, rows_of
from tests.node.inference.builders import EMBEDDED_FOLDER, HEAD, SETTINGS, write_parts

FALSE_TABLE = r"^the table under the package's id is not that of its files$"
ROWS = 60 * 61 // 2


@pytest.fixture
def folder(tmp_path):
    write_parts(tmp_path)
    return tmp_path


def claim(folder, package, **changes):
    """Write a manifest that says another table of the same files, under the id that follows."""
    table = PackagedTable(package.table.head, package.table.rows_root)._replace(**changes)
    files = package.files
    write_manifest(folder, Manifest(model_id_of(files, table), table.head.encode(), table.rows_root, files))
    return model_id_of(files, table)


def test_head_and_rows_follow_from_the_files(folder):
    package = pack(folder, SETTINGS)
    assert package.table == table_of(folder) == (HEAD, package.table.rows_root)
    row = np.float32([500, 0.75, -0.5, 0, 0, 0.75, -0.5, 0.5, 0.5, 5e-4]).astype(">f4").tobytes()
    proof = merkle_proof([row] * ROWS, 77)
    assert proves(package.table.rows_root, row, 77, ROWS, proof)


@pytest.mark.parametrize(
    ("field", "other"),
    [("scheduler_rule", SchedulerRule.TWO_STEPS), ("channels", 8), ("factor", 4), ("steps_max", 61)],
)
def test_attack_a_package_whose_id_says_another_head_than_its_files(folder, field, other):
    """Its miners would be judged by what they do not run."""
    package = pack(folder, SETTINGS)
    assert claim(folder, package, head=replace(HEAD, **{field: other})) != package.model_id
    lying = load(folder)
    with pytest.raises(PackageError, match=FALSE_TABLE):
        verify(lying)


@pytest.mark.parametrize(
    "field", ["format", "number_format", "latent_layout", "seed_rule", "guidance_rule", "scheduler_rule"]
)
def test_rules_that_are_not_known_are_refused_at_once(folder, field):
    package = pack(folder, SETTINGS)
    claim(folder, package, head=replace(HEAD, **{field: 3}))
    with pytest.raises(PackageError, match=r"^the package's head: rules are not known here$"):
        load(folder)


@pytest.mark.parametrize("column", range(10))
def test_attack_a_package_whose_id_says_another_row_than_its_files(folder, column):
    package = pack(folder, SETTINGS)
    replay = read_replay(folder / REPLAY_NAME)
    for row in (0, 1, ROWS // 2, ROWS - 1):
        table = replay.table.copy()
        table[row, column] = 0.015 if column == 9 else table[row, column] + 0.0625
        (folder / "other").mkdir(exist_ok=True)
        write_parts(folder / "other")
        write_replay(folder / "other" / REPLAY_NAME, replace(replay, table=table))
        other = table_of(folder / "other").rows_root
        assert other != package.table.rows_root
        claim(folder, package, rows_root=other)
        lying = load(folder)
        with pytest.raises(PackageError):
            verify(lying)


def test_every_row_of_the_embedded_model_is_under_its_id():
    """Each number of each row, changed in its last bit, gives another id."""
    package = load(EMBEDDED_FOLDER)
    verify(package)
    replay = read_replay(EMBEDDED_FOLDER / REPLAY_NAME)
    rows = rows_of(replay.table.astype(">f4").tobytes())
    assert len(rows) == package.table.head.rows == 5050
    for place in (0, 209, 5049):
        proof = merkle_proof(rows, place)
        assert proves(package.table.rows_root, rows[place], place, len(rows), proof)
        for at in range(0, 40, 4):
            bent = bytearray(rows[place])
            bent[at + 3] ^= 1
            assert not proves(package.table.rows_root, bytes(bent), place, len(rows), proof)


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("unet", {"in_channels": 0}, "unet/config.json names no channels"),
        ("unet", {"in_channels": 65536}, "unet/config.json names no channels"),
        ("unet", {"in_channels": True}, "unet/config.json names no channels"),
        ("unet", {"out_channels": 8}, "denoiser and autoencoder have latents of other channels"),
        ("vae", {"latent_channels": 16}, "denoiser and autoencoder have latents of other channels"),
        ("vae", {"block_out_channels": []}, "vae/config.json names no blocks"),
        ("vae", {"block_out_channels": [8] * 17}, "vae/config.json names no blocks"),
        ("vae", {"block_out_channels": 4}, "vae/config.json names no blocks"),
        ("vae", {"block_out_channels": [8] * 7}, "the package's head: no tensors of this size"),
    ],
)
def test_parts_that_no_package_may_have(folder, part, changes, message):
    path = folder / part / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(PackageError) as caught:
        pack(folder, SETTINGS)
    assert str(caught.value) == message


def test_without_a_table_of_steps_nothing_is_packed(folder):
    (folder / REPLAY_NAME).unlink()
    with pytest.raises(PackageError, match=r"^the package has no table of steps$"):
        pack(folder, SETTINGS)


def test_a_card_with_more_steps_than_the_table(folder):
    with pytest.raises(PackageError, match=r"^the package's card: more steps than the table has rows for$"):
        pack(folder, replace(SETTINGS, steps_max=61))


@pytest.mark.parametrize("column", [3, 4])
def test_one_number_of_the_step_before_makes_it_a_two_step_scheduler(column):
    table = np.zeros((3, 10), dtype=np.float32)
    replay = Replay(PRNG_ID, "DDIMScheduler", "fp32", 500, table)
    assert head_of(replay, 4, 8) == replace(HEAD, steps_max=2)
    table[2, column] = 2**-24
    assert head_of(replay, 4, 8) == replace(HEAD, steps_max=2, scheduler_rule=SchedulerRule.TWO_STEPS)


def test_another_seed_rule_is_refused():
    replay = Replay("other/1", "DDIMScheduler", "fp32", 500, np.zeros((1, 10), dtype=np.float32))
    with pytest.raises(PackageError, match=r"^the package needs a seed rule that is not known here$"):
        head_of(replay, 4, 8)

"""What is measured becomes the thresholds; honest work is within them at every step, frauds are not."""

import copy
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from node.commands import model as model_cli
from node.inference import calibration
from node.inference.audit.thresholds import CALIBRATION_NAME, class_a, thresholds_of
from node.inference.calibration import (
    BANDS,
    FACTOR,
    CalibrationError,
    Cheated,
    Configuration,
    Deviation,
    band_of,
    band_tolerances,
    conclusions,
    measure_all,
)
from node.inference.calibration_cheats import eight_bit_weights
from node.inference.diffusion.checks import distance, first_latent, half_tensor, next_latent
from node.inference.diffusion.replay import FP32_TOLERANCE, REPLAY_NAME, read_replay
from node.inference.jobs.job import Finished
from node.inference.packages.errors import PackageError
from node.inference.packages.package import Settings, load, pack, verify
from node.inference.traces.trace_file import TraceFile
from tests.node.inference.builders import EMBEDDED_FOLDER, a_job, a_source, embedded

SPAN = 999.0
QUICK = (Configuration("two together", {"ATEN_CPU_CAPABILITY": "avx2"}, 1, 2),)
TWO = (*QUICK, Configuration("plain", {"ATEN_CPU_CAPABILITY": "default"}, 1, 3, onednn=False))
STEPS = 10
"""Of each job; half precision takes eight times as long as single on a processor."""
UNSEEN = ("a penguin on a yellow background", "guitar")
"""Prompts and seeds that the measurements of these tests did not have."""


def test_bands_cover_the_time_of_the_model():
    assert [band_of(timestep, SPAN) for timestep in (0, 99, 100, 500, 999)] == [0, 0, 1, 5, 9]
    assert {band_of(timestep, SPAN) for timestep in range(1000)} == set(range(BANDS))


def test_a_tolerance_is_twice_what_was_measured_around_it():
    deviations = [1e-3, 2e-3, 4e-3, 1e-3]
    tolerances = band_tolerances([950, 850, 750, 50], deviations, SPAN)
    assert tolerances[9] == FACTOR * 2e-3
    assert tolerances[8] == FACTOR * 4e-3
    assert tolerances[6] == FACTOR * 4e-3
    assert tolerances[1] == FACTOR * 1e-3
    # Where nothing was measured near by, the largest of all.
    assert tolerances[4] == FACTOR * 4e-3


def test_no_tolerance_is_below_single_precision_or_beyond_what_can_be_audited():
    assert band_tolerances([500], [1e-9], SPAN) == [FP32_TOLERANCE] * BANDS
    for too_much in (0.011, float("inf"), float("nan")):
        with pytest.raises(CalibrationError, match="no audit could tell"):
            band_tolerances([500], [too_much], SPAN)


def deviation(**changes):
    fields = {
        "configuration": QUICK[0],
        "steps": (1e-3,),
        "source": 0.0,
        "excess": 1e-7,
        "auditor_excess": 2e-7,
        "beyond": (0.01, 0.0, 0.0),
        "machine": {},
    }
    return Deviation(**fields | changes)


CHEATS = (Cheated("one", 3e-5, (5e-3, 5e-3)), Cheated("other", float("inf"), (6e-3, float("inf"))))


def test_what_accuses_is_five_times_the_largest_honest_excess_and_never_below_the_floor():
    assert conclusions("A", [deviation()], CHEATS, ()) == {
        "sketch_bins_apart": 1,
        "accuse_ppb": 10_000,
        "honest_excess_ppb": 200,
        "cheats": [
            {"name": "one", "least_score_ppb": 30_000},
            {"name": "other", "least_score_ppb": 10**12},
        ],
    }
    for changes in ({"excess": 4e-6}, {"auditor_excess": 4e-6}):
        assert conclusions("A", [deviation(), deviation(**changes)], CHEATS, ())["accuse_ppb"] == 20_000


@pytest.mark.parametrize("changes", [{"excess": 6.1e-6}, {"auditor_excess": 7e-6}, {"excess": float("inf")}])
def test_attack_a_device_that_cannot_be_told_from_a_cheat_is_refused(changes):
    with pytest.raises(CalibrationError, match=r"^no audit could tell: the package's threshold"):
        conclusions("A", [deviation(**changes)], CHEATS, ())


def test_attack_a_package_whose_cheats_look_honest_is_refused():
    with pytest.raises(CalibrationError, match=r"lets cheats pass$"):
        conclusions("A", [deviation()], [*CHEATS, Cheated("near", 9e-6, ())], ())
    # In class B by the mean over the steps, in tolerances.
    assert conclusions("B", [deviation()], CHEATS[:1], (4e-3, 4e-3))["cheats"][0]["least_score_ppb"] == 1.25e9
    with pytest.raises(CalibrationError, match=r"lets cheats pass$"):
        conclusions("B", [deviation()], CHEATS[:1], (5e-3, 5.1e-3))


def test_sketches_may_differ_by_as_many_bins_as_nearly_all_auditors_do():
    for beyond, apart in (((0.0, 0.0, 0.0), 1), ((0.1, 0.0011, 0.0), 2), ((0.1, 0.01, 0.001), 2)):
        assert (
            conclusions("A", [deviation(), deviation(beyond=beyond)], CHEATS, ())["sketch_bins_apart"]
            == apart
        )
    with pytest.raises(CalibrationError, match=r"^honest auditors' sketches differ by more than 2 bins$"):
        conclusions("A", [deviation(beyond=(0.5, 0.1, 0.0011))], CHEATS, ())


@pytest.mark.process
def test_class_a_is_measured_by_its_excess_and_by_cheats(tmp_path, capsys):
    folder = tmp_path / "single"
    shutil.copytree(EMBEDDED_FOLDER, folder)
    before = read_replay(folder / REPLAY_NAME)
    pack(folder, replace(Settings.of(embedded().card), default_steps=STEPS))
    package = calibration.calibrate(folder, prompts=UNSEEN, configurations=TWO, tell=print)
    verify(package)
    assert "half of the network in fp16: off by" in capsys.readouterr().out
    assert thresholds_of(package) == class_a()
    record = json.loads((folder / CALIBRATION_NAME).read_text())
    first, second = record["configurations"]
    # The first one audited its own traces as it had made them.
    assert first["beyond_bins_ppm"][1:] == second["beyond_bins_ppm"][1:] == [0, 0]
    assert (second["onednn"], second["variables"]) == (False, {"ATEN_CPU_CAPABILITY": "default"})
    assert 0 < max(second["excess_ppb"], second["auditor_excess_ppb"]) <= record["honest_excess_ppb"] < 2_000
    least = {cheat["name"]: cheat["least_score_ppb"] for cheat in record["cheats"]}
    assert least["int8 weights, per channel"] > 1_000_000
    assert least["half of the network in fp16"] > record["accuse_ppb"]
    assert (read_replay(folder / REPLAY_NAME).table == before.table).all()
    model_cli.card(folder)
    assert "excess that accuses (measured): 1.0e-05" in capsys.readouterr().out


@pytest.mark.process
def test_a_configuration_that_fails_says_so(monkeypatch):
    monkeypatch.setattr(calibration, "MACHINE_MODULE", "node.inference.nowhere")
    with pytest.raises(CalibrationError, match=r"'two together' failed: .*No module named"):
        measure_all(embedded(), QUICK, "cpu", UNSEEN)


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """The embedded model packed as class B by the command, measured with few jobs and configurations."""
    folder = tmp_path_factory.mktemp("calibration") / "half"
    shutil.copytree(EMBEDDED_FOLDER, folder)
    (folder / "manifest.json").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "CONFIGURATIONS", QUICK)
        patch.setattr(calibration, "PROMPTS", calibration.PROMPTS[:2])
        model_cli.pack(
            folder,
            name="half",
            licence="Apache-2.0",
            sizes=["32x32"],
            default_steps=STEPS,
            steps_max=30,
            default_guidance=4,
            precision_class="B",
        )
    return load(folder)


@pytest.fixture(scope="module")
def networks(half):
    """The package as a miner of class B has it, and as an auditor has it."""
    import torch

    from node.inference.diffusion.networks import Networks

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Networks(half), Networks(half, precision="fp32")
    torch.set_num_threads(threads)


@pytest.mark.process
class TestClassB:
    """Real packages and real arithmetic in half precision, on the processor."""

    def test_package_says_what_it_is_and_what_was_measured(self, half, capsys):
        verify(half)
        assert (half.card.precision_class, half.model_id != embedded().model_id) == ("B", True)
        replay = read_replay(half.folder / REPLAY_NAME)
        assert replay.precision == "fp16"
        record = json.loads((half.folder / CALIBRATION_NAME).read_text())
        assert [item["name"] for item in record["configurations"]] == ["two together"]
        assert record["configurations"][0]["instructions"] == "AVX2"
        worst = np.max([item["deviation_ppm"] for item in record["configurations"]], axis=0) / 1e6
        tolerances = np.array([float(step.tolerance) for step in replay.steps(half.card.default_steps)])
        assert (tolerances >= FACTOR * worst * 0.99).all()
        # They differ from step to step, and all are far below what weights of eight bits change.
        assert tolerances.max() > 1.2 * tolerances.min()
        assert FP32_TOLERANCE < tolerances.min() < tolerances.max() < 5e-3
        model_cli.card(half.folder)
        shown = capsys.readouterr().out
        assert "class B (fp16), for text-to-image, image-to-image" in shown
        assert "tolerance of each step (measured):" in shown

    def test_card_and_table_must_agree(self, half, tmp_path):
        from node.inference.diffusion.networks import Networks

        folder = tmp_path / "lie"
        shutil.copytree(half.folder, folder)
        lie = pack(folder, replace(Settings.of(half.card), precision_class="A"))
        with pytest.raises(PackageError, match="another precision class than its card"):
            Networks(lie)

    def test_the_autoencoder_never_goes_through_half_precision(self, half, tmp_path):
        """Its own weights of single precision are those of diffusers, tensor by tensor and bit by bit."""
        import torch
        from diffusers import AutoencoderKL
        from safetensors.torch import load_file, save_file

        from node.inference.diffusion.networks import Networks

        folder = tmp_path / "single"
        shutil.copytree(half.folder, folder)
        weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
        generator = torch.Generator().manual_seed(1)
        finer = {
            name: tensor.float() * (1 + 1e-4 * torch.rand(tensor.shape, generator=generator)) + 1e-7
            for name, tensor in load_file(weights).items()
        }
        save_file(finer, weights)
        miner = Networks(pack(folder, Settings.of(half.card)))
        ours = miner._pipeline.vae.state_dict()
        theirs = AutoencoderKL.from_pretrained(folder / "vae", local_files_only=True).state_dict()
        assert ours.keys() == theirs.keys() == finer.keys()
        assert all(tensor.dtype == torch.float32 for tensor in ours.values())
        assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
        assert miner._pipeline.unet.dtype == miner._pipeline.text_encoder.dtype == torch.float16

    def test_weights_and_their_memory_are_halved(self, networks):
        miner, auditor = networks
        # The autoencoder is single in both.
        assert 0.5 < miner.memory_bytes / auditor.memory_bytes < 0.7

    def test_first_latent_and_steps_are_exact_as_in_any_class(self, half, networks, tmp_path):
        from node.inference.diffusion.pipeline import Model

        job = a_job(
            half.model_id,
            steps=5,
            schedule_steps=8,
            source_png=a_source(),
            trace_path=str(tmp_path / "trace"),
        )
        events = []
        Model(half).run([job], events.append, lambda _: False)
        assert isinstance(events[-1], Finished)
        steps, shape, before = networks[0].replay.steps(8, 5), (4, 8, 8), None
        with TraceFile(tmp_path / "trace") as trace:
            opened = [
                tuple(half_tensor(part, shape) for part in trace.tensors(number)) for number in range(5)
            ]
            source = half_tensor(trace.source(), shape)
            assert (first_latent(steps[0], job.seed, shape, source) == opened[0][0]).all()
            for number, step in enumerate(steps):
                after = next_latent(step, opened[number], before, job.guidance_milli)
                expected = opened[number + 1][0] if number < 4 else half_tensor(trace.final(), shape)
                assert (after == expected).all()
                before = opened[number]

    def test_honest_work_is_within_the_tolerance_at_every_step(self, networks):
        miner, auditor = networks
        for job, step, found, expected in walk(miner, auditor, UNSEEN):
            assert 0 < found <= float(step.tolerance), (job.prompt, float(step.timestep), found)
            assert np.isfinite(expected).all()

    @pytest.mark.parametrize("fraud", ["8-bit weights", "another prompt", "reused features"])
    def test_attack_frauds_are_outside_of_it(self, networks, fraud):
        miner, auditor = networks
        cheat = copy.copy(miner)
        cheat._pipeline = copy.copy(miner._pipeline)
        cheat._pipeline.unet = copy.deepcopy(miner._pipeline.unet)
        asked, first = None, 0
        if fraud == "8-bit weights":
            eight_bit_weights(cheat._pipeline.unet)
        elif fraud == "another prompt":
            asked = {UNSEEN[0]: "a penguin on a green background"}
        else:
            # Where all is noise, the first two steps see nearly the same: reusing there saves a step unseen.
            reuse_features(cheat._pipeline.unet)
            first = 3
        seen = [
            found > float(step.tolerance)
            for number, (_, step, found, _) in enumerate(walk(cheat, auditor, UNSEEN[:1], asked))
            if number >= first and (fraud != "reused features" or number % 2)
        ]
        assert len(seen) >= 4
        assert all(seen), seen


def walk(miner, auditor, prompts, asked=None):
    """Of each step of each job: job, step, how far the output with the prompt is off, and the true one."""
    for seed, prompt in enumerate(prompts, start=100):
        job = a_job(miner.package.model_id, prompt=prompt, seed=seed, steps=STEPS)
        other = a_job(
            miner.package.model_id, prompt=(asked or {}).get(prompt, prompt), seed=seed, steps=STEPS
        )
        given, true = miner.encode_prompts([other]), auditor.encode_prompts([job])
        latent, before = miner.noise(job).astype(np.float16), None
        for step in miner.replay.steps(STEPS):
            ((u, c),) = miner.predict(latent[None], step, given[1], given[0])
            ((_, expected),) = auditor.predict(latent[None], step, true[1], true[0])
            yield job, step, distance(c, expected), expected
            opened = (latent, u, c)
            latent, before = next_latent(step, opened, before, job.guidance_milli), opened


def reuse_features(network):
    """Every second step takes the deep layers' output of the step before, as DeepCache does."""
    kept, calls = [], [0]

    def hook(module, arguments, output):
        calls[0] += 1
        if calls[0] % 2 == 0:
            return kept[-1]
        kept.append(output)
        return output

    network.up_blocks[0].register_forward_hook(hook)

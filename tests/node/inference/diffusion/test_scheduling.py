"""Tables are made by asking diffusers' own schedulers; a table's steps then are theirs, up to rounding."""

import numpy as np
import pytest

from node.inference.diffusion.replay import REPLAY_NAME, Replay, advance, noised, read_replay, write_replay
from node.inference.packages.errors import PackageError
from node.inference.packages.package import load, verify

pytestmark = [
    pytest.mark.process,  # not one, but torch and diffusers take seconds to import
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # diffusers' own
]
DDIM, DPM, FLOW = "DDIMScheduler", "DPMSolverMultistepScheduler", "FlowMatchEulerDiscreteScheduler"
TRAILING = {"timestep_spacing": "trailing", "clip_sample": False}
STEPS = 12


@pytest.fixture
def subject():
    from node.inference.diffusion import scheduling

    return scheduling


def saved(folder, name, options):
    """A scheduler of diffusers, and its configuration in `folder`."""
    import diffusers

    scheduler = getattr(diffusers, name)(**options)
    scheduler.save_pretrained(folder)
    return scheduler


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (DDIM, {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, **TRAILING}),
        (DDIM, {"clip_sample": False}),
        (DPM, {}),
        (DPM, {"prediction_type": "v_prediction", "timestep_spacing": "leading"}),
        (FLOW, {"shift": 3.0}),
    ],
    ids=["ddim-v", "ddim", "dpm", "dpm-v", "flow"],
)
@pytest.mark.parametrize("count", [STEPS, 7, 1])
def test_the_table_does_what_the_scheduler_does(tmp_path, subject, name, options, count):
    """A whole job by both, and one from an image, with a made-up model that is not linear."""
    import torch

    scheduler = saved(tmp_path, name, options)
    table = subject.make_table(tmp_path, name, STEPS)
    replay = Replay("prng", name, "fp32", 500, table)
    # Within the bounds of a coefficient, and so something to pack.
    write_replay(tmp_path / REPLAY_NAME, replay)
    assert replay.looks_back == (name == DPM)
    drawn = np.random.default_rng(1).standard_normal((2, 4, 8, 8))
    noise, source = drawn[0].astype(np.float32), drawn[1].astype(np.float16)
    scheduler.set_timesteps(STEPS)
    timesteps, steps = scheduler.timesteps[STEPS - count :], replay.steps(STEPS, count)
    latent = noise.astype(np.float16) if count == STEPS else noised(steps[0], source, noise)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(STEPS - count)
    if count < STEPS:
        tensors = [torch.from_numpy(numbers.astype(np.float32)) for numbers in (source, noise)]
        if name == FLOW:
            theirs = scheduler.scale_noise(tensors[0][None], timesteps[:1], tensors[1][None])[0]
        else:
            theirs = scheduler.add_noise(tensors[0][None], tensors[1][None], timesteps[:1])[0]
        assert np.abs(latent.astype(np.float32) - theirs.numpy()).max() < 0.005
    theirs = torch.from_numpy(latent.astype(np.float32))
    eta = {"eta": 0.0} if name == DDIM else {}
    before = None
    for step, timestep in zip(steps, timesteps, strict=True):
        assert step.timestep == np.float32(float(timestep))
        output = np.tanh(latent.astype(np.float32) + float(timestep) / 1000)
        latent, before = advance(step, latent, output, before), (latent, output)
        their_output = torch.tanh(theirs + float(timestep) / 1000)
        theirs = scheduler.step(their_output, timestep, theirs, **eta).prev_sample
    difference = np.abs(latent.astype(np.float32) - theirs.numpy()).max() / float(theirs.abs().max())
    assert difference < 0.01


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("UniPCMultistepScheduler", {}, "looks further back"),
        (DPM, {"solver_order": 3}, "looks further back"),
        (DPM, {"algorithm_type": "sde-dpmsolver++"}, "adds noise"),
        ("EulerDiscreteScheduler", {}, "other steps"),
        (DDIM, {"clip_sample": True}, "not linear"),
    ],
    ids=["unipc", "third-order", "stochastic", "euler", "clipping"],
)
def test_attack_a_scheduler_that_cannot_be_replayed_under_an_allowed_name(
    tmp_path, subject, monkeypatch, name, options, why
):
    """Its behaviour gives it away, even where its name is allowed."""
    saved(tmp_path, name, options)
    monkeypatch.setattr(subject, "SCHEDULERS", frozenset({name}))
    with pytest.raises(PackageError, match=why):
        subject.make_table(tmp_path, name, STEPS)


@pytest.mark.parametrize(("name", "asked"), [("PNDMScheduler", "PNDMScheduler"), (DDIM, DPM)])
def test_other_names_are_refused(tmp_path, subject, name, asked):
    saved(tmp_path, name, {})
    with pytest.raises(PackageError, match="cannot be replayed"):
        subject.make_table(tmp_path, asked, 1)


def test_trailing_spacing_never_gives_a_step_too_many(tmp_path, subject):
    """diffusers itself makes one at time -1 for some numbers of steps."""
    scheduler = saved(tmp_path, DDIM, TRAILING)
    extra = []
    for count in range(1, 62):
        scheduler.set_timesteps(count)
        extra.append(len(scheduler.timesteps) - count)
    assert max(extra) == 1
    assert (subject.make_table(tmp_path, DDIM, 61)[:, 0] >= 0).all()


def test_the_command_packs_a_diffusers_folder(tmp_path, capsys):
    """The same files and limits give the embedded model again, but for last bits of its table.

    diffusers computes its coefficients in single precision, and processors differ in how they round those.
    """
    import shutil
    from dataclasses import replace

    from node.commands import model as model_cli
    from protocol.model_card import CARD_FILE
    from tests.node.inference.builders import EMBEDDED_FOLDER, embedded

    folder = tmp_path / "copy"
    shutil.copytree(EMBEDDED_FOLDER, folder)
    (folder / "manifest.json").unlink()
    (folder / "card.cbor").unlink()
    (folder / "replay.safetensors").unlink()
    model_cli.pack(folder, name="again", licence="Apache-2.0", sizes=["32x32"], steps_max=100)
    made, given = load(folder), embedded()
    assert capsys.readouterr().out.startswith(made.model_id.hex() + " 11.7 MB again")
    verify(made)
    assert made.files.keys() == given.files.keys()
    assert {path for path in made.files if made.files[path] != given.files[path]} <= {REPLAY_NAME, CARD_FILE}
    assert made.card == replace(
        given.card, name="again", default_guidance_milli=7500, guidance_milli_max=20_000
    )
    tables = (read_replay(item.folder / REPLAY_NAME).table for item in (made, given))
    np.testing.assert_allclose(*tables, rtol=0, atol=1e-6)
    with pytest.raises(PackageError, match="is for DDIMScheduler, not DPMSolverMultistepScheduler"):
        model_cli.pack(folder, name="again", licence="Apache-2.0", sizes=["32x32"], scheduler=DPM)

"""Files beside the weights: the model card, the notice and the manifest's settings.

Is: a text with the measured figures of this very export filled in. Is not: advertising.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from node.inference.diffusion.prng import PRNG_ID
from node.inference.packages.package import Settings
from node.inference.training import unet, vae
from node.inference.training.concepts import BACKGROUNDS, HELD_OUT_PER_CONCEPT, concepts
from node.inference.training.data import IMAGE_PIXELS, SOURCE_PACKAGE, SOURCE_SHA256, SOURCE_VERSION
from node.inference.training.sampling import GUIDANCE, STEPS
from protocol.work import WorkKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from node.inference.training.score import Score

SETTINGS: Final = Settings(
    name="cuckoo-icons",
    licence="Apache-2.0",
    scheduler="DDIMScheduler",
    prng=PRNG_ID,
    default_steps=STEPS,
    steps_max=100,
    default_guidance_milli=int(GUIDANCE * 1000),
    guidance_milli_max=15_000,
    precision_class="A",
    work_kinds=tuple(WorkKind),
    sizes=((IMAGE_PIXELS, IMAGE_PIXELS),),
)

NOTICE: Final = f"""cuckoo-icons

These model weights were trained on, and largely reproduce, artwork of Noto Color Emoji.

  Noto Color Emoji, image resources: Copyright Google LLC and contributors,
  licensed under the Apache License, Version 2.0.
  The project's font files are under the SIL Open Font License 1.1; none of them was used.

The images came with the npm package {SOURCE_PACKAGE} {SOURCE_VERSION}, whose code and data tables are
Copyright (c) 2013 Cal Henderson, MIT; its README states for the Google/Noto images the Apache License
2.0. Only icons that the package marks as having an image by Google were used.

Changes made: the icons were reduced to {IMAGE_PIXELS} x {IMAGE_PIXELS} pixels, composed onto plain
backgrounds, and used to train the networks in this folder.

The weights, configuration and texts in this folder are licensed under the Apache License, Version 2.0:
http://www.apache.org/licenses/LICENSE-2.0
"""

_CARD: Final = """# cuckoo-icons

![48 prompts, not chosen for their results](contact_sheet.png)

A text-to-image latent diffusion model small enough to live in a source tree: prompt in,
{pixels} x {pixels} icon out, in a fraction of a second on one CPU core. It is a genuine
`StableDiffusionPipeline`: CLIP text model, conditional U-Net with classifier-free guidance, DDIM
scheduler, variational autoencoder. A peer loads it by the same call as any Stable Diffusion, so whatever
works with this model (progress, previews, cancelling, the trace that commits to every step) is the real
thing at a small size.

## What it is not

- Not a general image model. It knows {concepts} things and {grounds} background colours.
- Mostly a memory: every thing it shows is one icon of its training set, restored with more or less
  detail. It does not invent a second apple. What it composes is *thing x colour*: the denoiser never saw
  a thing on {held_out} of the {grounds} colours (the autoencoder did), and the score says how those come out.
- Not a language model. Words outside the caption table count as padding: "RED HEART!!" gives a red
  heart, "an astronaut riding a horse" a blur. Two things in one prompt give one of them or a mixture, a
  strange colour before a thing at best colours the background; "no" and "two" mean nothing.
- Not sharp. {pixels} pixels through an autoencoder of 0.8 million parameters lose whiskers and dials.

## Use

{steps} steps, guidance {guidance}, size {pixels} x {pixels}. Prompts as in training work best:
"a cat on a blue background", "rocket, black background", or just "red apple" (which means white).

From an image it starts where the schedule says, with less noise the less of the image is to change. What
the prompt does not name, the ground or the thing, mostly stays; what it names becomes the icon that the
model knows:

![images, and what they become at five strengths](edits.png)

## Measured

One prompt per thing, first seeds, {steps} steps. An image counts as right when, of all {images} pictures of
the training set ({concepts} things x {grounds} colours, the originals, not reconstructions), the one nearest
to it by mean square is the thing, and the colour, that the prompt named. Chance would be
{chance:.1%} for the thing.

| prompts | number | right thing | right colour | both |
|---|---|---|---|---|
{rows}

Things missed: {missed}.

The autoencoder alone restores the training pictures at {decibels:.1f} dB.

## Data and licence

Noto Color Emoji artwork, Apache License 2.0, from the npm package {package} {version}, tarball SHA-256
`{sha256}`.
See `NOTICE`. The weights are licensed under Apache-2.0 as well.

## Recipe

`make train-model` repeats it on one thread, from these seeds; other processors and versions of torch
give other last bits, so the result is alike but not identical.

1. Autoencoder: AutoencoderKL, channels {channels}, factor 4, 4 latent channels.
   {vae_steps} steps of {vae_batch}, peak rate {vae_rate}, seed {vae_seed}.
2. Denoiser and text model, jointly: UNet2DConditionModel (64, 128), CLIPTextModel (2 x 128, 16 tokens).
   {unet_steps} steps of {unet_batch}, peak rate {unet_rate}, seed {unet_seed}.
3. The autoencoder's decoder alone, the latents fixed.
   {decoder_steps} steps of {vae_batch}, peak rate {vae_rate}, seed {vae_seed}.

AdamW, warm-up, flat, linear decay over the second half; averaged weights; v-prediction, betas rescaled to
zero terminal SNR, trailing timesteps; {drop:.0%} of the captions dropped. Weights are stored in half
precision and computed with in single precision.
"""


def card(scores: Mapping[str, Score], decibels: float) -> str:
    """Return the model card with the figures of this export."""
    rows = [
        f"| {kind} | {score.prompts} | {score.concept:.1%} | {score.background:.1%} | {score.both:.1%} |"
        for kind, score in scores.items()
    ]
    missed = sorted({name for score in scores.values() for name in score.missed})
    count = len(concepts())
    return _CARD.format(
        pixels=IMAGE_PIXELS,
        concepts=count,
        grounds=len(BACKGROUNDS),
        held_out=HELD_OUT_PER_CONCEPT,
        images=count * len(BACKGROUNDS),
        chance=1 / count,
        steps=STEPS,
        guidance=f"{GUIDANCE:g}",
        rows="\n".join(rows),
        missed=", ".join(missed) if missed else "none",
        decibels=decibels,
        package=SOURCE_PACKAGE,
        version=SOURCE_VERSION,
        sha256=SOURCE_SHA256,
        channels=vae.CHANNELS,
        vae_steps=vae.RECIPE.steps,
        vae_batch=vae.BATCH,
        vae_rate=vae.RECIPE.peak_rate,
        vae_seed=vae.SEED,
        decoder_steps=vae.DECODER_RECIPE.steps,
        unet_steps=unet.RECIPE.steps,
        unet_batch=unet.BATCH,
        unet_rate=unet.RECIPE.peak_rate,
        unet_seed=unet.SEED,
        drop=unet.CAPTION_DROP_SHARE,
    )

"""A payload as SillyTavern's client of AI Horde sends it, read from its source in the autumn of 2026."""

PAYLOAD = {
    "prompt": "a red apple ### blurry",
    "params": {
        "sampler_name": "k_euler_a",
        "hires_fix": False,
        "cfg_scale": 7,
        "steps": 10,
        "width": 32,
        "height": 32,
        "karras": True,
        "clip_skip": 1,
        "seed": "7",
        "n": 1,
    },
    "r2": False,
    "nsfw": True,
    "trusted_workers": False,
    "models": ["stable_diffusion", "cuckoo-icons"],
}

"""Running a model: what a package is, and a worker process that turns a prompt into an image.

Is: the model package on disk (`package`), the seed-to-noise rule (`prng`), a pool of processes that hold
the models (`pool`, `worker`, `pipeline` around `networks`), what an audit compares (`checks`) and how its
tolerances are measured (`calibration`). Is not: the network, the chain or the proof; those only see a job
going in and events coming out. Torch and diffusers come with `networks`, `pipeline`, `device`, `scheduling`
and `calibration_machine` alone.
"""

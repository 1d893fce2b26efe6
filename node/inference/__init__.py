"""Running a model: what a package is, and a worker process that turns a prompt into an image.

Is: the model package on disk (`package`), the seed-to-noise rule (`prng`), and a pool of processes
that hold the pipelines (`pool`, `worker`, `pipeline`). Is not: the network, the chain or the proof;
those only see a job going in and events coming out. Importing anything here but `worker` and
`pipeline` loads neither torch nor diffusers.
"""

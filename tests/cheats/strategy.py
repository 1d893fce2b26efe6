"""What a cheat may alter of a miner's work, step by step of `pipeline.Model.run`; by default nothing."""

from node.inference.diffusion.networks import Networks


class Cheat:
    """A strategy. Each place where work can be altered is a method, which by default alters nothing.

    :ivar name: for people.
    :ivar saves: share of the denoiser's work that it saves, 0 to 1; an estimate where hardware decides.
    """

    name = "honest"
    saves = 0.0

    def job(self, job):
        """The job that is computed instead of the one that was taken."""
        return job

    def networks(self, networks):
        """The networks that compute it."""
        return networks

    def tensors(self, number, tensors):
        """What is committed to of step `number`: latent, outputs without and with the prompt, as bytes."""
        return tensors

    def finished(self, event):
        """What is delivered."""
        return event

    def fakes(self, number, steps):
        """Whether the outputs of a step are other than the model's; `number` from 0."""
        return True


def own_unet(networks):
    """Networks of their own denoiser, which may be altered; all else is shared."""
    return networks.altered(lambda _: None)


class Foreseen(Networks):
    """Networks whose `predict` is the cheat's, which knows the number of the step that it is asked for.

    A batch begins with `encode_prompts`; its rows keep their order as long as no job of it is cancelled.
    """

    def __init__(self, networks, predict):
        self.__dict__.update(networks.__dict__)
        self._answer, self._number = predict, 0

    def encode_prompts(self, jobs):
        self._number = 0
        return super().encode_prompts(jobs)

    def predict(self, latents, step, negatives, prompts):
        number, self._number = self._number, self._number + 1
        return self._answer(super().predict, number, latents, step, negatives, prompts)

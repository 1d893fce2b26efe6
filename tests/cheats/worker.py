"""`python -m tests.cheats.worker FOLDER...`: the inference process of a miner that cheats.

Is: the real process with the real models, whose work is altered by the strategy that `STRATEGY` names.
Is not: part of a node; a market's test has its miner start it.
"""

import os

from node.inference.worker.worker import load_models, main
from tests.cheats.miner import CheatingModel
from tests.cheats.other_guidance import OtherGuidance
from tests.cheats.other_seed import OtherSeed

STRATEGY = "CHEAT_OF_A_TEST"
"""Variable of the environment."""
STRATEGIES = {"guidance": OtherGuidance, "seed": OtherSeed}


def load_all(*arguments):
    """As `load_models`, with models that cheat when they work; when they audit, they are honest."""
    models, memory = load_models(*arguments)
    cheat, load = STRATEGIES[os.environ[STRATEGY]](), models.get
    models.get = lambda model_id: CheatingModel(load(model_id), cheat)
    return models, memory


if __name__ == "__main__":
    main(load_all)

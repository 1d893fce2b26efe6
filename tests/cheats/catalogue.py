"""All cheats, each with the check that sees it, for tests and for the table."""

from dataclasses import dataclass

import numpy as np

from node.inference.audit.opened import Check
from tests.cheats.bf16 import Bf16
from tests.cheats.fabricated_bridge import FabricatedBridge
from tests.cheats.few_steps import FewSteps
from tests.cheats.fine_tuning import FineTuning
from tests.cheats.half_precision import HalfInHalfPrecision
from tests.cheats.lazy_guidance import LazyGuidance, NoGuidance
from tests.cheats.noise import Noise
from tests.cheats.old_trace import OldTrace
from tests.cheats.one_word_less import OneWordLess
from tests.cheats.other_guidance import OtherGuidance
from tests.cheats.other_prompt import OtherPrompt
from tests.cheats.other_seed import OtherSeed
from tests.cheats.out_of_range import OutOfRange
from tests.cheats.pruning import Pruning
from tests.cheats.quantised_weights import Fp8Weights, QuantisedWeights
from tests.cheats.skipped_steps import SkippedSteps
from tests.cheats.strategy import Cheat
from tests.cheats.swapped_picture import SwappedPicture
from tests.cheats.swapped_source import SwappedSource
from tests.cheats.tf32 import Tf32
from tests.cheats.tolerance_spender import ToleranceSpender


@dataclass(frozen=True)
class Entry:
    """A cheat. :ivar seen_by: the check that must find it. :ivar source: whether it needs a source image."""

    cheat: Cheat
    seen_by: Check = Check.OUTPUT
    source: bool = False


CAUGHT = (
    Entry(QuantisedWeights(8)),
    Entry(QuantisedWeights(6)),
    Entry(QuantisedWeights(4)),
    Entry(Fp8Weights()),
    Entry(Bf16()),
    Entry(HalfInHalfPrecision()),
    Entry(Tf32()),
    Entry(Noise(1e-2)),
    Entry(Noise(1e-3)),
    Entry(Noise(3e-4)),
    Entry(Noise(1e-4)),
    Entry(Pruning(0.01)),
    Entry(Pruning(0.1)),
    Entry(FineTuning(1e-3)),
    Entry(FineTuning(1e-5)),
    Entry(SkippedSteps(10, 1)),
    Entry(SkippedSteps(10, 2)),
    Entry(SkippedSteps(4, 1)),
    Entry(SkippedSteps(2, 0)),
    Entry(SkippedSteps(2, 1)),
    Entry(SkippedSteps(2, 2)),
    Entry(FewSteps()),
    Entry(LazyGuidance()),
    Entry(LazyGuidance(extrapolated=True)),
    Entry(NoGuidance()),
    Entry(OtherPrompt()),
    Entry(OneWordLess()),
    Entry(OtherSeed(), Check.START),
    Entry(OtherGuidance(), Check.STEP),
    Entry(FabricatedBridge()),
    Entry(OldTrace(), Check.START),
    Entry(SwappedPicture(), Check.PICTURE),
    Entry(SwappedSource(), Check.SOURCE, source=True),
    Entry(ToleranceSpender(5e-4)),
    Entry(ToleranceSpender(1e-3)),
    Entry(OutOfRange(np.nan), Check.FINITE),
    Entry(OutOfRange(np.inf), Check.FINITE),
    Entry(OutOfRange(6e4)),
)
"""Those that an audit must find in every step that they fake and that is opened."""
NOT_CAUGHT = (Entry(Noise(1e-5)), Entry(ToleranceSpender(1e-5)))
"""Those below the threshold: they save nothing, and no pixel moves by more than a level."""

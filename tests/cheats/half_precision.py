"""Half of the network in half precision: the deep blocks, whose numbers are fewest and error smallest."""

from node.inference.calibration_cheats import half_in_half_precision
from tests.cheats.strategy import Cheat


class HalfInHalfPrecision(Cheat):
    """Down and middle blocks in fp16: half of the network's work at half of its cost."""

    name, saves = "half of the network in fp16", 0.25

    def networks(self, networks):
        return networks.altered(half_in_half_precision)

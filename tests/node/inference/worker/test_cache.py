"""The models in memory: what stays, what goes, and that sizes are measured and not believed."""

from dataclasses import dataclass, replace

import pytest

from node.inference.packages.manifest import PackagedFile
from node.inference.packages.preflight import WEIGHTS_FACTOR
from node.inference.worker.cache import CacheCounts, ModelCache
from tests.node.builders import PACKAGE


@dataclass
class Loaded:
    memory_bytes: int


def packages(*sizes):
    """Packages a, b, c, … that are expected to take these sizes in memory."""
    return {
        bytes([97 + place]): replace(
            PACKAGE,
            model_id=bytes([97 + place]),
            files={"w": PackagedFile(bytes(32), size // WEIGHTS_FACTOR)},
        )
        for place, size in enumerate(sizes)
    }


def cache(bytes_max, *sizes, factor=1):
    return ModelCache(
        packages(*sizes), lambda package: Loaded(factor * WEIGHTS_FACTOR * package.size_bytes), bytes_max
    )


def test_loaded_once():
    models = cache(100, 10)
    assert models.get(b"a") is models.get(b"a")
    assert models.counts == CacheCounts(loaded=1, hits=1)


def test_the_longest_unused_goes_first():
    models = cache(30, 10, 10, 10, 10)
    for model_id in (b"a", b"b", b"c", b"a"):
        models.get(model_id)
    models.get(b"d")
    assert models.loaded() == (b"c", b"a", b"d")
    assert models.counts.evicted == 1
    assert models.memory_bytes == 30


def test_a_large_one_takes_the_place_of_several():
    models = cache(30, 10, 10, 26)
    for model_id in (b"a", b"b", b"c"):
        models.get(model_id)
    assert models.loaded() == (b"c",)


def test_one_larger_than_all_room_is_loaded_alone():
    models = cache(30, 10, 50)
    models.get(b"a")
    assert models.get(b"b").memory_bytes == 50
    assert models.loaded() == (b"b",)


def test_measured_counts_more_than_files():
    """Files tell half of it, at most."""
    models = cache(30, 10, 10, factor=2)
    models.get(b"a")
    models.get(b"b")
    assert models.loaded() == (b"b",)
    assert models.memory_bytes == 20
    # From now on it is known, and room is made before loading.
    models.get(b"a")
    assert models.loaded() == (b"a",)


def test_preloading_stops_where_it_would_evict():
    models = cache(25, 10, 10, 10)
    models.preload()
    assert models.loaded() == (b"a", b"b")
    assert models.counts.evicted == 0
    large = cache(5, 10, 10)
    large.preload()
    assert large.loaded() == (b"a",)


def test_unknown():
    with pytest.raises(KeyError):
        cache(30, 10).get(b"z")

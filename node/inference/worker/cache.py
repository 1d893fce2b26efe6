"""The models in a worker's memory: loaded when needed, and the longest unused let go when it gets tight.

Is: a cache by model id whose bound is bytes, as measured after loading. Is not: torch; it is given what
loads them.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from node.inference.packages.preflight import WEIGHTS_FACTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from node.inference.packages.package import ModelPackage


class Sized(Protocol):
    """A loaded model. :ivar memory_bytes: what it takes, measured."""

    memory_bytes: int


ModelT = TypeVar("ModelT", bound=Sized)


@dataclass(slots=True)
class CacheCounts:
    """:ivar hits: requests for a model that was loaded already."""

    loaded: int = 0
    evicted: int = 0
    hits: int = 0


class ModelCache(Generic[ModelT]):
    """Models by id. Not thread-safe.

    :ivar packages: all that can be loaded.
    :ivar counts: since the start.
    """

    def __init__(
        self,
        packages: Mapping[bytes, ModelPackage],
        load: Callable[[ModelPackage], ModelT],
        bytes_max: int,
    ) -> None:
        """:param load: loads one. :param bytes_max: for all together; a single one may exceed it."""
        self.packages = dict(packages)
        self.counts = CacheCounts()
        self._load, self._bytes_max = load, bytes_max
        self._models: OrderedDict[bytes, ModelT] = OrderedDict()
        self._measured: dict[bytes, int] = {}

    @property
    def memory_bytes(self) -> int:
        """Bytes that the loaded models take."""
        return sum(model.memory_bytes for model in self._models.values())

    def loaded(self) -> tuple[bytes, ...]:
        """Ids of the loaded models, the longest unused first."""
        return tuple(self._models)

    def get(self, model_id: bytes) -> ModelT:
        """The model, loaded now if it was not. :raises KeyError: no package has this id."""
        if model_id in self._models:
            self._models.move_to_end(model_id)
            self.counts.hits += 1
            return self._models[model_id]
        self._make_room(self._expected(model_id))
        model = self._load(self.packages[model_id])
        self.counts.loaded += 1
        self._measured[model_id] = model.memory_bytes
        # It may have come out larger than its files promised.
        self._make_room(model.memory_bytes)
        self._models[model_id] = model
        return model

    def preload(self) -> None:
        """Load packages in their order as long as they fit; the first in any case."""
        for model_id in self.packages:
            if self._models and self.memory_bytes + self._expected(model_id) > self._bytes_max:
                return
            self.get(model_id)

    def _expected(self, model_id: bytes) -> int:
        """Bytes that a model will take: as measured before, else by its files."""
        return self._measured.get(model_id, WEIGHTS_FACTOR * self.packages[model_id].size_bytes)

    def _make_room(self, needed_bytes: int) -> None:
        while self._models and self.memory_bytes + needed_bytes > self._bytes_max:
            self._models.popitem(last=False)
            self.counts.evicted += 1

"""A mapping with a bound: what it holds beyond that, it forgets, the oldest first."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

Key = TypeVar("Key")
Item = TypeVar("Item")


class Bounded(OrderedDict[Key, Item], Generic[Key, Item]):
    """A mapping that forgets its oldest entry when a new one exceeds `items_max`; setting renews."""

    def __init__(self, items_max: int) -> None:
        super().__init__()
        self._items_max: Final = items_max

    def __setitem__(self, key: Key, item: Item) -> None:
        if key in self:
            self.move_to_end(key)
        super().__setitem__(key, item)
        if len(self) > self._items_max:
            self.popitem(last=False)

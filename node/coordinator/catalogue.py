"""A coordinator's models without their weights: their cards, and the names that stand for them.

Is: decisions over the operator's own packages, the cards that miners gave, and the table of names.
Is not: the fetching of cards (`card_fetching`), nor who offers what at which price (`coordinator`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.coordinator.card_queue import CardFetch, CardQueue
from node.coordinator.model_names import Claim, ModelNames
from node.inference.packages import package
from node.inference.packages.limits import BadRequest
from node.inference.packages.model import Model
from protocol.errors import Refusal
from protocol.model_card import ModelCard
from protocol.work import kind_name

LEARNED_MAX: Final = 256
"""Most cards of others that are kept; beyond, the one offered longest ago goes, unused ones first."""
ID_DIGITS: Final = 8
"""Hexadecimal digits of an id behind a name that another model has."""
MODEL_ID_BYTES: Final = 32


class UnknownModel(Refusal):
    """No model of that name or id is known. :ivar model: what was asked for."""

    def __init__(self, model: str) -> None:
        super().__init__(f"the model {model!a} is not known; GET /v1/models lists those that are served")
        self.model = model


class AmbiguousModel(UnknownModel):
    """Several models fit what was asked for. :ivar model: what was asked for."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.reason = f"several models are called {model!a}; name more digits of the id"


@dataclass(slots=True)
class _Learned:
    """A model of others. :ivar used: whether a request named it."""

    model: Model
    offered_at_ms: int
    used: bool = False


class Catalogue:
    """Models by id and by name.

    :ivar queue: the cards that are missing.
    """

    def __init__(
        self, own: Iterable[Model], names: ModelNames | None = None, default_model: str = ""
    ) -> None:
        """:param own: of the operator's folders, in the order of preference.
        :param names: the table of names; default: one in memory.
        :param default_model: name or id for requests that name none; default: the first of `own`.
        """
        self.queue = CardQueue()
        self._own = {item.model_id: item for item in own}
        self._learned: dict[bytes, _Learned] = {}
        self._names = names or ModelNames.in_memory()
        self._default_model = default_model
        taken: set[str] = set()
        for item in self._own.values():
            if item.name not in taken:
                self._names.bind(item.name, item.model_id, Claim.FOLDER)
                taken.add(item.name)

    @classmethod
    def of_folders(
        cls, folders: Iterable[Path], names: ModelNames | None = None, default_model: str = ""
    ) -> Catalogue:
        """Catalogue of the package folders in `folders`.

        :raises PackageError: a folder is no package.
        """
        return cls((package.load(folder) for folder in folders), names, default_model)

    def models(self) -> list[Model]:
        """All that are known: the operator's own in their order, then others as their cards came."""
        return [*self._own.values(), *(learned.model for learned in self._learned.values())]

    def get(self, model_id: bytes) -> Model | None:
        """The model of a 32-byte id, if its card is known."""
        learned = self._learned.get(model_id)
        return self._own.get(model_id) or (learned.model if learned else None)

    def is_own(self, model_id: bytes) -> bool:
        """Whether the operator has the package in a folder."""
        return model_id in self._own

    def find(self, model: str) -> Model:
        """The model of a name, of `name@` and first digits of an id, or of a whole id in hexadecimal.

        A name that stood for nothing stands for what is found from then on.

        :raises UnknownModel: there is none.
        :raises AmbiguousModel: several fit.
        """
        found = self._find(model)
        learned = self._learned.get(found.model_id)
        if learned is not None:
            learned.used = True
        if model == found.name:
            binding = self._names.get(model)
            if binding is None or binding.claim < Claim.USED:
                self._names.bind(model, found.model_id, Claim.USED)
        return found

    def peek(self, model: str) -> Model:
        """As `find`, for whoever only looks: the name stands for what it stood for.

        :raises UnknownModel: as `find`.
        """
        return self._find(model)

    def default(self, work_kind: int) -> Model:
        """The model for requests of a kind that name none: the operator's choice, else the first own one.

        :raises UnknownModel: the operator's choice is not known.
        :raises BadRequest: there is none for this kind of work.
        """
        candidates = [self._find(self._default_model)] if self._default_model else self._own.values()
        for model in candidates:
            if work_kind in model.card.work_kinds:
                return model
        kind = kind_name(work_kind)
        raise BadRequest("model", f"this node has no default model for {kind}; name one")

    def handles(self) -> dict[bytes, str]:
        """The word that each known model is listed as, by id: its name, or `name@` and digits of its id."""
        models = self.models()
        claimants = Counter(model.name for model in models)
        owners = {model.name: model.model_id for model in models if claimants[model.name] == 1}
        owners |= {binding.name: binding.model_id for binding in self._names.all()}
        return {
            model.model_id: model.name
            if owners.get(model.name) == model.model_id
            else _qualified(model, models)
            for model in models
        }

    def note_offer(self, model_id: bytes, miner: bytes, now_ms: int) -> None:
        """A miner offers a model; if its card is missing, it will be fetched. :param miner: its address."""
        if model_id in self._own:
            return
        learned = self._learned.get(model_id)
        if learned is None:
            self.queue.note_offer(model_id, miner, now_ms)
        else:
            learned.offered_at_ms = now_ms

    def learn(self, fetch: CardFetch, card: ModelCard, now_ms: int) -> Model:
        """A card has come, held against the id. Its name is its own, if nobody else has it here."""
        self.queue.succeeded(fetch)
        if len(self._learned) >= LEARNED_MAX:
            oldest = min(self._learned.values(), key=lambda item: (item.used, item.offered_at_ms))
            del self._learned[oldest.model.model_id]
        model = Model(fetch.model_id, card)
        self._learned[fetch.model_id] = _Learned(model, now_ms)
        self._names.bind(card.name, fetch.model_id, Claim.LISTED)
        return model

    def _find(self, text: str) -> Model:
        name, at, digits = text.partition("@")
        if at:
            return self._find_qualified(text, name, digits)
        binding = self._names.get(text)
        if binding is not None:
            model_id = binding.model_id
        else:
            # A table full of names in use: the one of that name, if there is only one.
            fits = [model for model in self.models() if model.name == text]
            if len(fits) > 1:
                raise AmbiguousModel(text)
            model_id = fits[0].model_id if fits else _id_of(text)
        found = self.get(model_id)
        if found is None:
            raise UnknownModel(text)
        return found

    def _find_qualified(self, text: str, name: str, digits: str) -> Model:
        fits = [
            model
            for model in self.models()
            if model.name == name and len(digits) >= ID_DIGITS and model.model_id.hex().startswith(digits)
        ]
        if len(fits) > 1:
            # Somebody made an id that begins like another: neither may be taken for the other.
            raise AmbiguousModel(text)
        if not fits:
            raise UnknownModel(text)
        return fits[0]


def _qualified(model: Model, models: Iterable[Model]) -> str:
    """`name@` and so many digits of the id as tell it from all others of its name."""
    digits = model.model_id.hex()
    others = [item.model_id.hex() for item in models if item.name == model.name and item is not model]
    alike = any(other.startswith(digits[:ID_DIGITS]) for other in others)
    return f"{model.name}@{digits if alike else digits[:ID_DIGITS]}"


def _id_of(text: str) -> bytes:
    """The id that is written in hexadecimal, or no bytes."""
    try:
        model_id = bytes.fromhex(text)
    except ValueError:
        return b""
    return model_id if len(model_id) == MODEL_ID_BYTES and text == model_id.hex() else b""

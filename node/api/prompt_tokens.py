"""How much of a prompt a model reads, counted with the tokenizer of its own package.

Is: the count, for packages in the operator's folders where the library is installed (extra `miner`).
Is not: the cut, which the model's own text encoder makes.
"""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass
from typing import Any, Final

import trio

from node.coordinator.requests import BadRequest, ImageRequest
from node.inference.packages.model import Model
from node.inference.packages.package import ModelPackage

TOKENIZERS_MAX: Final = 8
"""Tokenizers in memory; beyond, the one that came first goes."""
TOKENIZER_PATH: Final = "tokenizer/tokenizer.json"


@dataclass(frozen=True, slots=True)
class PromptCount:
    """The length of one text of a request, in a model's tokens.

    :ivar field: `prompt` or `negative_prompt`.
    :ivar tokens: of the whole text, marks of beginning and end among them; None if it cannot be counted.
    :ivar tokens_max: that are read; 0 where that is not known.
    """

    field: str
    tokens: int | None
    tokens_max: int

    @property
    def is_cut(self) -> bool:
        """Whether the model does not see all of it; False where that is not known."""
        return self.tokens is not None and self.tokens > self.tokens_max > 0


class PromptTokens:
    """Counts texts. A tokenizer is read once, and held against the card."""

    def __init__(self) -> None:
        self._tokenizers: dict[bytes, Any] = {}
        # One at a time: the table is the threads' own.
        self._limiter = trio.CapacityLimiter(1)

    def can_count(self, model: Model) -> bool:
        """Whether the model's tokenizer is at hand."""
        return _library() is not None and _package_of(model) is not None

    async def count(self, request: ImageRequest) -> tuple[PromptCount, ...]:
        """How long a request's texts are to its model. In a thread: reading a tokenizer takes a while."""
        texts = {"prompt": request.prompt, "negative_prompt": request.negative_prompt}
        return await trio.to_thread.run_sync(self._count, request.model, texts, limiter=self._limiter)

    def _count(self, model: Model, texts: dict[str, str]) -> tuple[PromptCount, ...]:
        tokenizer = self._tokenizer(model)
        return tuple(
            PromptCount(
                field,
                None if tokenizer is None else len(tokenizer.encode(text).ids),
                model.card.prompt_tokens_max,
            )
            for field, text in texts.items()
            if text
        )

    def _tokenizer(self, model: Model) -> Any:
        """The model's tokenizer; None if it is not at hand, or the file is not the card's."""
        library, package = _library(), _package_of(model)
        if library is None or package is None:
            return None
        tokenizer = self._tokenizers.get(model.model_id)
        if tokenizer is None:
            data = _read(package)
            if data is None:
                return None
            tokenizer = library.Tokenizer.from_buffer(data)
            tokenizer.no_truncation()
            tokenizer.no_padding()
            while len(self._tokenizers) >= TOKENIZERS_MAX:
                del self._tokenizers[next(iter(self._tokenizers))]
            self._tokenizers[model.model_id] = tokenizer
        return tokenizer


def require_whole(counts: tuple[PromptCount, ...]) -> None:
    """For apps that would rather have no picture than one of half a prompt.

    :raises BadRequest: a text is longer than the model reads, or that cannot be known here.
    """
    for count in counts:
        if count.is_cut:
            reason = f"{count.field} has {count.tokens} tokens, and the model reads {count.tokens_max}"
            raise BadRequest(count.field, reason)
        if count.tokens is None:
            reason = "the tokens of this model's prompts cannot be counted here; leave truncation at auto"
            raise BadRequest("truncation", reason)


def _package_of(model: Model) -> ModelPackage | None:
    if isinstance(model, ModelPackage) and TOKENIZER_PATH in model.files:
        return model
    return None


def _read(package: ModelPackage) -> bytes | None:
    """The tokenizer's file; None if it is gone, or not the one that the card names."""
    try:
        data = (package.folder / TOKENIZER_PATH).read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).digest() == package.files[TOKENIZER_PATH].sha256 else None


def _library() -> Any:
    """The library of tokenizers, if it is installed."""
    try:
        return importlib.import_module("tokenizers")
    except ImportError:
        return None

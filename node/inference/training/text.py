"""The text side: a byte-pair vocabulary learnt from the captions, and a small CLIP text model.

Is: vocabulary and merges in CLIP's own form, so that `CLIPTokenizer` needs no code of ours.
Is not: a language model; it knows the words of the caption table and spells the rest in bytes.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Final

import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from node.inference.training.concepts import BACKGROUNDS, captions, concepts

TOKENS: Final = 16
"""Tokens a prompt may have, start and end included; longer prompts are cut."""
WIDTH: Final = 128
_END: Final = "</w>"
_START_TOKEN: Final = "<|startoftext|>"  # noqa: S105 - a token of the vocabulary, no secret
_END_TOKEN: Final = "<|endoftext|>"  # noqa: S105 - likewise


def all_captions() -> list[list[tuple[str, ...]]]:
    """Return the training captions, indexed by concept and by background."""
    return [
        [tuple(c for name in names for c in captions(name, ground)) for ground in BACKGROUNDS]
        for names in concepts().values()
    ]


def learn_merges(words: Counter[str]) -> list[tuple[str, str]]:
    """Return the byte-pair merges, most frequent pair first, until every word is one symbol.

    Ties go to the lexically smaller pair, so that the vocabulary depends on the captions alone.
    """
    spelled = {word: [*word[:-1], word[-1] + _END] for word in sorted(words)}
    merges: list[tuple[str, str]] = []
    while True:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in spelled.items():
            for pair in pairwise(symbols):
                pairs[pair] += words[word]
        if not pairs:
            return merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for word, symbols in spelled.items():
            spelled[word] = _apply(symbols, best)


def _apply(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    """Return the symbols with each occurrence of the pair joined, from the left."""
    joined: list[str] = []
    position = 0
    while position < len(symbols):
        if tuple(symbols[position : position + 2]) == pair:
            joined.append(symbols[position] + symbols[position + 1])
            position += 2
        else:
            joined.append(symbols[position])
            position += 1
    return joined


def build_tokenizer() -> CLIPTokenizer:
    """Return the tokenizer of the embedded model; the same captions always give the same one."""
    words: Counter[str] = Counter()
    for row in all_captions():
        for lines in row:
            for line in lines:
                words.update(line.replace(",", " , ").split())
    merges = learn_merges(words)
    alphabet = sorted(ByteLevel.alphabet())
    symbols = [*alphabet, *(letter + _END for letter in alphabet), *(left + right for left, right in merges)]
    symbols = [*dict.fromkeys(symbols), _START_TOKEN, _END_TOKEN]
    return CLIPTokenizer(
        vocab={symbol: index for index, symbol in enumerate(symbols)},
        merges=merges,
        model_max_length=TOKENS,
    )


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Return an untrained text model of the shipped shape for this tokenizer."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


@torch.no_grad()
def quieten_unknown(text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer) -> int:
    """Give every token that no caption holds the embedding of padding; return how many there were.

    Such tokens still have their random start, and a single one in a prompt would drown the words that
    mean something. Of the stand-ins tried (a comma, "a", padding) padding disturbed least.
    """
    known = set(tokenizer.all_special_ids)
    for row in all_captions():
        for lines in row:
            known.update(token for ids in tokenizer(list(lines)).input_ids for token in ids)
    unknown = sorted(set(range(len(tokenizer))) - known)
    table = text_encoder.get_input_embeddings().weight
    table[unknown] = table[tokenizer.pad_token_id].clone()
    return len(unknown)

"""The card of a package: its bounds, and that an id has one card."""

import dataclasses
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import model_table
from protocol.errors import DecodeError, InvalidMessage
from protocol.hashing import sha256
from protocol.merkle import merkle_proof, merkle_root
from protocol.model_card import (
    CARD_BYTES_MAX,
    CARD_FILE,
    FILES_MAX,
    PROOF_HASHES_MAX,
    PROVED_CARD_BYTES_MAX,
    ModelCard,
    ProvedCard,
    RequestFile,
    file_leaf,
    is_package_path,
    require_head,
)
from protocol.model_table import HEAD_BYTES
from tests.protocol.builders import MODEL_HEAD, model_card
from tests.protocol.strategies import lawful, mutations, structs

CARD = model_card()
OTHER_VALUES = {
    "format": 2,
    "name": "other",
    "family": "FluxPipeline",
    "licence": "MIT",
    "scheduler": "DPMSolverMultistepScheduler",
    "prng": "another/1",
    "precision_class": "B",
    "work_kinds": (0,),
    "sizes": ((512, 512),),
    "default_steps": 21,
    "steps_max": 51,
    "default_guidance_milli": 7_501,
    "guidance_milli_max": 20_001,
    "prompt_characters_max": 1_001,
    "prompt_bytes_max": 3_999,
    "prompt_tokens_max": 78,
    "request_files": (),
}


HEAD, ROWS_ROOT = MODEL_HEAD.encode(), bytes([7]) * 32


def id_of(leaves: list[bytes]) -> bytes:
    return model_table.model_id_of(merkle_root(leaves), HEAD, ROWS_ROOT)


def proved_of(leaves: list[bytes], card: ModelCard = CARD) -> ProvedCard:
    return ProvedCard.of(card.encode(), leaves, HEAD, ROWS_ROOT)


def leaves_of(card: ModelCard, others: int = 6) -> list[bytes]:
    data = card.encode()
    return [
        file_leaf(CARD_FILE, sha256(data), len(data)),
        *(file_leaf(f"{number:03}.json", bytes(32), number) for number in range(others)),
    ]


@pytest.mark.parametrize("others", [0, 1, 2, 3, 6, 7, 8, FILES_MAX - 1])
def test_whoever_has_only_the_id_can_verify_a_card(others):
    leaves = leaves_of(CARD, others)
    proved = ProvedCard.decode(proved_of(leaves).encode())
    assert len(proved.proof) <= PROOF_HASHES_MAX
    assert proved.open(id_of(leaves)) == CARD


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(ModelCard)])
def test_another_value_of_any_field_is_another_id(field):
    altered = model_card(**{field: OTHER_VALUES[field]})
    assert merkle_root(leaves_of(altered)) != merkle_root(leaves_of(CARD))
    proved = dataclasses.replace(proved_of(leaves_of(CARD)), card=altered.encode())
    with pytest.raises(InvalidMessage, match=r"^card is not that of the model$"):
        proved.open(id_of(leaves_of(CARD)))


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(RequestFile)])
def test_another_request_file_is_another_id(field):
    other = {"path": "tokenizer/vocab.json", "sha256": bytes(32), "size_bytes": 3}[field]
    altered = model_card(request_files=(dataclasses.replace(CARD.request_files[0], **{field: other}),))
    assert merkle_root(leaves_of(altered)) != merkle_root(leaves_of(CARD))


def test_attack_one_id_two_limits():
    """A packager puts two cards into one tree: only the first leaf can be shown as its card."""
    generous = model_card(guidance_milli_max=30_000)
    data = generous.encode()
    leaves = [*leaves_of(CARD), file_leaf(CARD_FILE, sha256(data), len(data))]
    model_id = id_of(leaves)
    assert proved_of(leaves).open(model_id) == CARD
    for place in range(len(leaves)):
        with pytest.raises(InvalidMessage):
            ProvedCard(data, merkle_proof(leaves, place), HEAD, ROWS_ROOT).open(model_id)


@pytest.mark.parametrize("place", range(HEAD_BYTES + 32))
def test_attack_a_card_with_another_head_or_table(place):
    """Who has only the id, and buys by it, gets the head that a contract would judge by."""
    leaves = leaves_of(CARD)
    bent = bytearray(HEAD + ROWS_ROOT)
    bent[place] ^= 1
    proved = dataclasses.replace(
        proved_of(leaves), head=bytes(bent[:HEAD_BYTES]), rows_root=bytes(bent[HEAD_BYTES:])
    )
    with pytest.raises(InvalidMessage, match=r"^card is not that of the model$"):
        proved.open(id_of(leaves))


def test_a_card_whose_steps_or_sizes_the_head_does_not_have():
    require_head(CARD, MODEL_HEAD)
    for changes, reason in (
        ({"steps_max": 49}, "card: more steps than the table has rows for"),
        ({"factor": 3}, "head: no tensors of this size"),
    ):
        head = dataclasses.replace(MODEL_HEAD, **changes)
        leaves = leaves_of(CARD)
        model_id = model_table.model_id_of(merkle_root(leaves), head.encode(), ROWS_ROOT)
        with pytest.raises(InvalidMessage) as caught:
            ProvedCard.of(CARD.encode(), leaves, head.encode(), ROWS_ROOT).open(model_id)
        assert caught.value.reason == reason


@lawful
@given(st.data())
def test_no_other_proof_is_taken(data):
    leaves = leaves_of(CARD)
    proved = proved_of(leaves)
    proof = tuple(data.draw(st.lists(st.sampled_from([*proved.proof, bytes(32)]), max_size=8)))
    if proof != proved.proof:
        with pytest.raises(InvalidMessage):
            dataclasses.replace(proved, proof=proof).open(id_of(leaves))


@lawful
@given(structs(ModelCard))
def test_any_card_within_its_types_is_read_or_refused(card):
    with suppress(InvalidMessage):
        assert ModelCard.read(card.encode()) == card


@lawful
@given(mutations(st.just(CARD.encode())))
def test_any_bytes_give_a_card_or_an_error(data):
    with suppress(DecodeError, InvalidMessage):
        assert ModelCard.read(data).encode() == data


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": 2}, "card: format is not known"),
        ({"name": "UPPER"}, "card: name is not allowed"),
        ({"name": ""}, "card: name is not allowed"),
        ({"name": "name@12345678"}, "card: name is not allowed"),
        ({"family": ""}, "card: a word of it is empty or not printable ASCII"),
        ({"licence": "MIT\x1b[2J"}, "card: a word of it is empty or not printable ASCII"),
        ({"work_kinds": (1, 0)}, "card: work_kinds do not ascend"),
        ({"work_kinds": (0, 0)}, "card: work_kinds do not ascend"),
        ({"sizes": ((512, 512), (512, 512))}, "card: sizes name one twice"),
        ({"sizes": ((4, 512),)}, "card: sizes"),
        ({"sizes": ((512, 4096),)}, "card: sizes"),
        ({"default_steps": 0}, "card: default_steps or steps_max"),
        ({"default_steps": 51}, "card: default_steps or steps_max"),
        ({"steps_max": 201}, "card: default_steps or steps_max"),
        ({"default_guidance_milli": 20_001}, "card: default_guidance_milli or guidance_milli_max"),
        ({"guidance_milli_max": 30_001}, "card: default_guidance_milli or guidance_milli_max"),
        ({"prompt_characters_max": 0}, "card: prompt_characters_max or prompt_bytes_max"),
        ({"prompt_characters_max": 4_001}, "card: prompt_characters_max or prompt_bytes_max"),
        ({"prompt_bytes_max": 4_001}, "card: prompt_characters_max or prompt_bytes_max"),
        ({"request_files": CARD.request_files * 2}, "card: request_files do not ascend"),
        ({"request_files": (RequestFile("../a.json", bytes(32), 1),)}, "card: path of a request file"),
        (
            {"request_files": (RequestFile("a.json", bytes(32), 1 << 25 | 1),)},
            "card: request_files are too long",
        ),
    ],
)
def test_values_that_no_card_may_have(changes, reason):
    with pytest.raises(InvalidMessage) as caught:
        ModelCard.read(model_card(**changes).encode())
    assert caught.value.reason == reason


def test_the_longest_card_fits():
    files = tuple(RequestFile(f"{'a' * 195}{number:05}", bytes(32), 2**20) for number in range(32))
    card = model_card(
        name="n" * 64,
        family="f" * 64,
        licence="l" * 64,
        scheduler="s" * 64,
        prng="p" * 64,
        sizes=tuple((2_048 - number, 2_048) for number in range(64)),
        request_files=files,
    )
    assert len(card.encode()) < CARD_BYTES_MAX
    assert ModelCard.read(card.encode()) == card
    proved = ProvedCard(bytes(CARD_BYTES_MAX), (bytes(32),) * PROOF_HASHES_MAX, HEAD, ROWS_ROOT)
    assert len(proved.encode()) <= PROVED_CARD_BYTES_MAX
    with pytest.raises(DecodeError, match=r"^a card has at most 65536 bytes$"):
        ModelCard.read(bytes(CARD_BYTES_MAX + 1))


@pytest.mark.parametrize(
    "path", ["", ".a", "a/.b", "../a", "/a", "a//b", "a/", "ä.json", "a b", "a\\b", "a\n", "a" * 201]
)
def test_paths_that_no_package_has(path):
    assert not is_package_path(path)

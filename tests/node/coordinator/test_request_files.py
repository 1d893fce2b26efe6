"""Files of others' models: wanted once, asked of those who offer the model, and never more than is kept."""

import os
from dataclasses import replace

import trio
import trio.testing

from node.coordinator import request_files as module
from node.coordinator.request_files import MINERS_ASKED_MAX, WANTED_MAX, RequestFiles
from node.inference.packages.model import Model
from protocol.errors import Refusal
from protocol.hashing import sha256
from protocol.model_card import RequestFile
from tests.node.builders import PACKAGE

MINERS = [bytes([number]) * 20 for number in range(1, 6)]


def card_with_files():
    data = b"text"
    return replace(
        PACKAGE.card, request_files=(RequestFile("tokenizer/tokenizer.json", sha256(data), len(data)),)
    )


def model(number=1):
    return Model(bytes([number]) * 32, card_with_files())


class Miners:
    """In place of a network: who was asked for what, and who does not give it."""

    def __init__(self, *deaf):
        self.asked, self.deaf = [], deaf

    async def fetch(self, miner, wanted, folder):
        await trio.lowlevel.checkpoint()
        self.asked.append((miner, wanted.model_id))
        if miner in self.deaf:
            raise Refusal("no")
        for item in wanted.card.request_files:
            (folder / item.path).parent.mkdir(parents=True, exist_ok=True)
            (folder / item.path).write_bytes(b"text")


def store(tmp_path, miners, offering=MINERS):
    return RequestFiles(tmp_path, miners.fetch, lambda _: offering)


async def fetched(files, *models):
    async with trio.open_nursery() as nursery:
        for one in models:
            files.use(one)
        nursery.start_soon(files.run)
        while files._waiting:
            await trio.testing.wait_all_tasks_blocked()
            await trio.sleep(0.001)
        nursery.cancel_scope.cancel()


async def test_files_are_fetched_at_the_first_use_and_only_then(tmp_path):
    miners = Miners()
    files = store(tmp_path, miners)
    assert not files.has(model())
    await fetched(files, model(), model())
    assert miners.asked == [(MINERS[0], model().model_id)]
    assert files.has(model())
    files.use(model())
    assert not files._waiting


async def test_a_model_without_such_files_needs_none(tmp_path):
    files = store(tmp_path, Miners())
    assert files.has(Model(b"\x09" * 32, replace(PACKAGE.card, request_files=())))


async def test_other_miners_are_asked_when_one_does_not_give_them(tmp_path):
    miners = Miners(*MINERS[:2])
    files = store(tmp_path, miners)
    await fetched(files, model())
    assert [miner for miner, _ in miners.asked] == MINERS[:3]
    assert (files.counts.failed, files.counts.fetched) == (2, 1)


async def test_not_more_miners_are_asked_than_is_said(tmp_path):
    miners = Miners(*MINERS)
    files = store(tmp_path, miners)
    await fetched(files, model())
    assert len(miners.asked) == MINERS_ASKED_MAX
    assert not files.has(model())


async def test_wishes_are_bounded(tmp_path):
    files = store(tmp_path, Miners())
    for number in range(WANTED_MAX + 3):
        files.use(Model(number.to_bytes(32, "big"), card_with_files()))
    assert files.counts.dropped == 3
    await trio.lowlevel.checkpoint()


async def test_the_files_used_longest_ago_make_room(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MODELS_MAX", 2)
    files = store(tmp_path, Miners())
    for number in (1, 2, 3):
        await fetched(files, model(number))
        os.utime(files.folder_of(model(number)), (number, number))
    assert [files.has(model(number)) for number in (1, 2, 3)] == [False, True, True]


async def test_nobody_who_offers_it_is_nobody_to_ask(tmp_path):
    miners = Miners()
    files = store(tmp_path, miners, [])
    await fetched(files, model())
    assert miners.asked == []

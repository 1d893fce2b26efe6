"""Pictures in work at a time, and that what else needs a thread has one meanwhile."""

import base64
import threading
from functools import partial

import pytest
import trio

from node.api import picture_formats, picture_threads, sources
from node.api.openai import edits
from node.api.openai.generation import Target
from node.api.picture_formats import PictureFormat
from node.api.picture_threads import PICTURE_THREADS, PictureThreadsStatus, in_picture_thread
from tests.limits import HANG_S
from tests.node.api.desk import Context, api, picture
from tests.node.builders import CATALOGUE, PACKAGE


async def test_attack_many_images_do_not_take_the_threads_of_all_others(nursery):
    go_on, context = threading.Event(), Context()
    api(context=context)
    try:
        for _ in range(PICTURE_THREADS + 50):
            nursery.start_soon(in_picture_thread, go_on.wait)
        await trio.testing.wait_all_tasks_blocked()
        assert context.observable.snapshot()["picture_threads"] == PictureThreadsStatus(PICTURE_THREADS, 50)
        assert await trio.to_thread.run_sync(lambda: "somebody else's") == "somebody else's"
    finally:
        go_on.set()
    while picture_threads.status().working:
        await trio.sleep(0.001)
    assert picture_threads.status() == PictureThreadsStatus(0, 0)


async def test_law_who_came_first_has_the_next_thread(nursery, monkeypatch):
    """Nobody is overtaken, however many come later, and whoever goes away leaves the order as it was."""
    # Threads that run side by side may say in any order that they have begun.
    monkeypatch.setattr(picture_threads, "_LIMITER", trio.CapacityLimiter(1))
    go_on, begun = threading.Event(), []

    def work(number):
        begun.append(number)
        go_on.wait(HANG_S)

    try:
        nursery.start_soon(in_picture_thread, go_on.wait)
        await trio.testing.wait_all_tasks_blocked()
        scopes = [trio.CancelScope() for _ in range(12)]

        async def wait(number):
            with scopes[number]:
                await in_picture_thread(work, number)

        for number in range(12):
            nursery.start_soon(wait, number)
            await trio.testing.wait_all_tasks_blocked()
        scopes[0].cancel()
        scopes[5].cancel()
        await trio.testing.wait_all_tasks_blocked()
        monitor = picture_threads.status().waiting
    finally:
        go_on.set()
    while picture_threads.status().working:
        await trio.sleep(0.001)
    assert monitor == 10
    assert begun == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("room", [sources, picture_formats, edits])
async def test_attack_every_way_of_a_picture_is_bounded(room, monkeypatch):
    turns = []

    async def counted(work, *arguments):
        turns.append(work)
        return await in_picture_thread(work, *arguments)

    monkeypatch.setattr(room, "in_picture_thread", counted)
    await {
        sources: partial(
            sources.source_of, "image", base64.b64encode(picture()).decode(), Target(PACKAGE, 32, 32)
        ),
        picture_formats: partial(PictureFormat("webp").of_png, picture()),
        edits: partial(edits.parse, edits.Form({"prompt": "a cat"}, picture()), CATALOGUE, {}),
    }[room]()
    assert len(turns) == 1

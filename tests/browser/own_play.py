"""Plays of what is a node's own: a session by a link, a prompt tried, its picture and receipt, draws."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.stage import Stage

OFFERED_S = 120
"""In which a miner has loaded its model and offers it."""
TASKS = 20


def session_link(stage: Stage) -> str:
    """What `cuckoo-peer portal open` prints, typed on the node's machine."""
    command = [stage.config["python"], "-m", "node.cli", "portal", "open", stage.config["data_dir"]]
    link = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    assert re.fullmatch(re.escape(stage.url) + r"/#open=[\w-]{43}", link), link
    return link


def open_own(page: Page, stage: Stage) -> str:
    """Begin a session, and be at the page of the node's own; the link, which is used up."""
    link = session_link(stage)
    page.goto(link)
    page.locator("h1").wait_for()
    # A page that was loaded already goes on from where it was.
    page.wait_for_url(f"{stage.url}/#/own")
    assert page.context.cookies() == []
    return link


def until_offered(page: Page, stage: Stage) -> None:
    deadline = time.monotonic() + OFFERED_S
    while not page.locator("#try form").is_visible():
        assert time.monotonic() < deadline, page.locator("main").inner_text()
        page.goto(f"{stage.url}/#/")
        page.goto(f"{stage.url}/#/own")
        page.wait_for_timeout(2_000)


OBSERVER = """() => {
  window.cuckooTestSeen = [];
  const look = () => {
    const scene = document.querySelector(".scene");
    const picture = scene.querySelector("img:not([hidden])") ? "[picture]" : "";
    window.cuckooTestSeen.push(scene.innerText + picture);
  };
  const all = { subtree: true, childList: true, attributes: true, characterData: true };
  new MutationObserver(look).observe(document.getElementById("try"), all);
}"""


def own(page: Page, stage: Stage) -> None:
    """A session, a prompt, its picture with who was drawn, its receipt checked, and all of it deleted."""
    link = open_own(page, stage)
    until_offered(page, stage)
    form = page.locator("#try form")
    form.get_by_label("What to draw").fill("a red fox <b>\u202e")
    page.evaluate(OBSERVER)
    form.get_by_role("button", name="Make the picture").click()
    expect(page.get_by_text("Done: task")).to_be_visible()
    seen = page.evaluate("window.cuckooTestSeen.join()")
    for part in (
        "Announced as task",
        "Drawn by stake, in this order",
        stage.config["miner"],
        "Step 1 of ",
        "[picture]",
    ):
        assert part in seen, (part, seen)
    card = page.locator("#gallery article").first
    expect(card.locator("img")).to_be_visible()
    assert card.locator("img").evaluate("image => image.complete && image.naturalWidth > 0")
    card.get_by_role("button", name="Check the receipt here").click()
    expect(card.get_by_text("It holds: every signature, the draw, the price, and that")).to_be_visible()
    expect(card.get_by_text("Stakes and seed in it are those of the chain")).to_be_visible()
    stage.screenshot(page, "own")
    save_files(page, card, stage)
    draw_again(page, stage, card)
    link_twice(stage, link)
    page.goto(f"{stage.url}/#/own")
    card = page.locator("#gallery article").first
    card.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Really delete, with its receipt?").click()
    expect(page.locator("#gallery").get_by_text("None yet.")).to_be_visible()
    page.get_by_role("button", name="End the session").click()
    expect(page.get_by_text("This part is for the node's own people.")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def save_files(page: Page, card: Any, stage: Stage) -> None:
    """The picture and the receipt, as files; the test checks one by the other."""
    folder = Path(stage.config["artefacts"])
    for button, name in (("Save the picture", "picture.png"), ("Save the receipt", "receipt.json")):
        with page.expect_download() as download:
            card.get_by_text(button).click()
        download.value.save_as(folder / name)


def draw_again(page: Page, stage: Stage, card: Any) -> None:
    card.locator("a[href^='#/task/']").click()
    expect(page.get_by_text("It fits: what was announced and what is drawn here")).to_be_visible()
    expect(page.get_by_text("the same ✓").first).to_be_visible()
    stage.screenshot(page, "task")


def link_twice(stage: Stage, link: str) -> None:
    """Whoever finds the link afterwards, in a history, finds nothing."""
    before, stage.forgiven = (
        stage.forgiven,
        ("Failed to load resource: the server responded with a status of 403",),
    )
    page = stage.page(wallet=False)
    page.goto(link)
    expect(page.get_by_text("This link was used already, or is older than a minute.")).to_be_visible()
    assert page.locator("#try").count() == 0
    page.context.close()
    stage.forgiven = before


ORDER = """async ([name, index]) => {
  const secret = sessionStorage.getItem("cuckoo-session");
  const headers = { "content-type": "application/json", "x-cuckoo-session": secret };
  const body = JSON.stringify({ name, prompt: `an icon of number ${index}`, steps: 1 });
  return (await fetch("/api/own/orders", { method: "POST", headers, body })).text();
}"""


def draws(stage: Stage) -> None:
    """Twenty tasks on the chain, each drawn again in the page: all as the coordinator announced them."""
    page = stage.page(wallet=False)
    open_own(page, stage)
    until_offered(page, stage)
    tasks = set()
    for index in range(TASKS):
        told = page.evaluate(ORDER, [f"{index:032x}", index])
        tasks.add(re.search(r'"done", "task_id": "(0x[0-9a-f]{64})"', told)[1])
    assert len(tasks) == TASKS
    for task in tasks:
        page.goto(f"{stage.url}/#/task/{task}")
        expect(page.get_by_text(task)).to_be_visible()
        expect(page.locator(".fits")).to_contain_text("It fits: ")
    page.context.close()

"""What is done in the browser: `python -m tests.browser.play NAME CONFIG`, in `.venv`.

Is: plays, each a function of a stage that asserts as it goes. Status 0 when all was as it should be.
Is not: the market around it, which the test starts, and whose chain it looks at afterwards.
"""

from __future__ import annotations

import json
import re
import sys
import time
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.stage import Stage, open_stage

WORD_DIGITS = 64
ADDRESS_DIGITS = 40
UNBONDING_S = 3_600


def words_of(data: str) -> list[int]:
    """The 32-byte words of a call's arguments."""
    digits = data[10:]
    return [int(digits[at : at + WORD_DIGITS], 16) for at in range(0, len(digits), WORD_DIGITS)]


def wei(cai: str) -> int:
    return int(cai) * 10**18


def open_at(page: Page, stage: Stage, place: str) -> None:
    page.goto(f"{stage.url}/#/{place}")
    expect(page.locator("footer code").first).to_be_visible()


def connect(page: Page, stage: Stage) -> None:
    open_at(page, stage, "stake")
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_text("Connected:")).to_be_visible()


def read_plan(page: Page) -> str:
    """The dialog's words, when it has a plan."""
    page.locator("dialog .does, dialog .problem").first.wait_for()
    assert page.locator("dialog .does").is_visible(), page.locator("dialog").inner_text()
    return page.locator("dialog").inner_text()


def agree(page: Page, stage: Stage, *functions: str) -> list[list[int]]:
    """Open the wallet for a plan of these calls, and see that it got what was shown; their arguments."""
    dialog = page.locator("dialog")
    page.locator("dialog summary").click()
    shown = [text.split("\n") for text in page.locator("dialog details pre").all_inner_texts()]
    assert [item[0].split(" ")[0] for item in shown] == list(functions), shown
    words, before = dialog.inner_text(), len(stage.sent())
    chain_id, account = stage.config["chain_id"], stage.config["account"]
    assert f"chain {chain_id}" in words
    assert account in words
    page.get_by_role("button", name="Open the wallet").click()
    expect(dialog.get_by_text("Done, in block")).to_be_visible()
    sent = stage.sent()[before:]
    for function, (head, data), transaction in zip(functions, shown, sent, strict=True):
        to = stage.config["contracts"]["cai" if function in {"approve", "faucet"} else "staking"]
        assert head == f"{function} → {to}"
        assert data.startswith(stage.config["selectors"][function]), (function, data)
        gas = transaction.pop("gas")
        assert 21_000 < int(gas, 16) < 1_000_000
        assert transaction == {
            "from": account,
            "to": to,
            "data": data,
            "value": "0x0",
            "chainId": hex(chain_id),
        }
        if function in words:
            assert to in words
    page.get_by_role("button", name="Close").click()
    return [words_of(transaction["data"]) for transaction in sent]


def journey(stage: Stage) -> None:
    """Faucet, register with own stake, stake, vote, claim, unbond, withdraw, as one person does it."""
    page = stage.page()
    began = time.monotonic()
    page.goto(stage.url + "/")
    expect(page.locator(".tile .figure").first).to_be_visible()
    sys.stdout.write(f"first page after {time.monotonic() - began:.2f} s\n")
    connect(page, stage)
    take_from_faucet(page, stage)
    register(page, stage)
    vote(page, stage, stage.config["own_node"], "1", as_own=True)
    say_no_once(page, stage)
    vote(page, stage, stage.config["miner"], "10000")
    earn_and_leave(page, stage)


def take_from_faucet(page: Page, stage: Stage) -> None:
    faucet = page.locator("#faucet")
    faucet.get_by_label("Amount").fill("50000")
    faucet.get_by_role("button").click()
    words = read_plan(page)
    assert "50,000 CAI come to your account" in words
    assert "Nothing but the fee." in words
    assert agree(page, stage, "faucet") == [[wei("50000")]]


def register(page: Page, stage: Stage) -> None:
    staking, own = stage.config["staking"], stage.config["own_node"]
    page.locator("#register summary").click()
    form = page.locator("#register")
    form.get_by_label("Consent").fill(stage.config["consent"])
    form.get_by_label("Own stake").fill("20500")
    form.get_by_label("Name").fill(stage.config["introduced_as"])
    form.get_by_role("button").click()
    words = read_plan(page)
    assert "Up to all 20,500 CAI" in words
    assert f"The key {own} becomes your miner" in words
    calls = agree(page, stage, "approve", "stake", "register")
    assert calls[:2] == [[int(staking, 16), wei("20500")], [int(own, 16), wei("20500")]]
    assert calls[2][:2] == [1, int(own, 16)]


def say_no_once(page: Page, stage: Stage) -> None:
    """Vote from a node's page, and refuse in the wallet."""
    open_at(page, stage, f"node/{stage.config['miner']}")
    page.get_by_role("link", name="Vote for this node").click()
    stage.says_no = True
    form = page.locator("#vote")
    form.get_by_label("Amount").fill("10000")
    form.get_by_role("button").click()
    read_plan(page)
    page.get_by_role("button", name="Open the wallet").click()
    expect(page.get_by_text("You said no in the wallet. Nothing was sent.")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    stage.asked.clear()
    stage.says_no = False


def earn_and_leave(page: Page, stage: Stage) -> None:
    """Claim, unbond all, and withdraw when the time is over."""
    miner = stage.config["miner"]
    card = page.locator("article", has_text=miner)
    expect(card).to_be_visible()
    until(page, stage, lambda: card.get_by_role("button", name="Claim").is_visible())
    card.get_by_role("button", name="Claim").click()
    amount = re.search(r"([\d,.]+) CAI of rewards come to your account", read_plan(page))
    assert amount is not None
    assert float(amount[1].replace(",", "")) > 0
    assert agree(page, stage, "claim") == [[int(miner, 16)]]

    card.get_by_label("Amount").fill("all")
    card.get_by_role("button", name="Unbond").click()
    words = read_plan(page)
    assert f"10,000 CAI of your 10,000 CAI begin to leave the node {miner}" in words
    assert "It can be withdrawn 1 hour later" in words
    ((node, shares),) = agree(page, stage, "unvote")
    assert node == int(miner, 16)
    assert shares > 0
    expect(card.get_by_text("10,000 CAI on its way out")).to_be_visible()
    stage.screenshot(page, "unbonding")

    stage.chain("evm_increaseTime", hex(UNBONDING_S + 1))
    until(page, stage, lambda: card.get_by_role("button", name="Withdraw").is_visible())
    card.get_by_role("button", name="Withdraw").click()
    assert f"10,000 CAI come back to your account from behind {miner}" in read_plan(page)
    assert agree(page, stage, "withdraw") == [[int(miner, 16), 1]]


def vote(page: Page, stage: Stage, node: str, amount: str, *, as_own: bool = False) -> None:
    form = page.locator("#vote")
    form.get_by_label("Address of the node").fill(node)
    form.get_by_label("What kind").select_option("stake" if as_own else "vote")
    form.get_by_label("Amount").fill(amount)
    form.get_by_role("button").click()
    words = read_plan(page)
    assert f"Up to all {int(amount):,} CAI" in words
    assert "which takes 1 hour: at the earliest on" in words
    calls = agree(page, stage, "approve", "stake" if as_own else "vote")
    assert calls == [[int(stage.config["staking"], 16), wei(amount)], [int(node, 16), wei(amount)]]


def until(page: Page, stage: Stage, condition: Any) -> None:
    """Load the account anew until it shows something. The wallet stays connected: the page is not left."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, page.locator("main").inner_text()
        page.goto(f"{stage.url}/#/nodes/miner")
        page.goto(f"{stage.url}/#/stake")
        page.wait_for_timeout(2_500)


LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "has_touch": True},
    "hindi": {"locale": "hi-IN"},
    "hindi-phone-dark": {
        "locale": "hi-IN",
        "viewport": {"width": 360, "height": 740},
        "device_scale_factor": 2,
        "color_scheme": "dark",
    },
}


def looks(stage: Stage) -> None:
    """A screenshot of each page in each look; no page is wider than its window."""
    miner, account = stage.config["miner"], stage.config["account"]
    places = {
        "overview": "",
        "nodes": "nodes/miner",
        "node": f"node/{miner}",
        "account": f"address/{account}",
        "no-wallet": "stake",
    }
    for look, options in LOOKS.items():
        page = stage.page(**options)
        for name, place in places.items():
            open_at(page, stage, place)
            page.locator("h1").wait_for()
            page.wait_for_timeout(700)
            fits(page, f"{name} {look}")
            stage.screenshot(page, f"{name}-{look}")
        open_at(page, stage, "stake")
        page.locator("main button.primary").first.click()
        page.locator("#faucet form").wait_for()
        page.locator("#register summary").click()
        page.wait_for_timeout(700)
        fits(page, f"stake {look}")
        stage.screenshot(page, f"stake-{look}")
        form = page.locator("#vote form")
        form.locator("[name=node]").fill(miner)
        form.locator("[name=amount]").fill("12.5")
        form.locator("button").click()
        page.locator("dialog .does").wait_for()
        page.wait_for_timeout(300)
        fits(page, f"plan {look}")
        page.screenshot(path=f"{stage.config['artefacts']}/plan-{look}.png")
        page.context.close()


def fits(page: Page, what: str) -> None:
    wide, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= window, f"{what}: {wide} wide in a window of {window}"


PLAYS = {"journey": journey, "looks": looks}


def main() -> None:
    name, config = sys.argv[1], json.loads(sys.argv[2])
    with open_stage(config) as stage:
        PLAYS[name](stage)


if __name__ == "__main__":
    main()

"""What is done in the browser: `python -m tests.browser.play NAME CONFIG`, in `.venv`.

Is: plays, each a function of a stage that asserts as it goes. Status 0 when all was as it should be.
Is not: the market around it, which the test starts, and whose chain it looks at afterwards.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.own_play import draws, open_own, own, session_link, until_offered
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
    """Faucet, register with own stake, stake, vote, a picture, claim, unbond, withdraw, as one person does
    it."""
    page = stage.page()
    began = time.monotonic()
    page.goto(stage.url + "/")
    expect(page.locator(".tile .figure").first).to_be_visible()
    sys.stdout.write(f"first page after {time.monotonic() - began:.2f} s\n")
    connect(page, stage)
    take_from_faucet(page, stage)
    register(page, stage)
    say_of_ones_own(page, stage)
    vote(page, stage, stage.config["own_node"], "1", as_own=True)
    say_no_once(page, stage)
    vote(page, stage, stage.config["miner"], "10000")
    own(page, stage)
    page.goto(f"{stage.url}/#/stake")
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


def say_of_ones_own(page: Page, stage: Stage) -> None:
    """Another introduction of one's own node, and another commission."""
    own = stage.config["own_node"]
    card = page.locator("article", has_text=own)
    card.locator("summary").click()
    form = card.get_by_role("form", name="A new introduction takes the place")
    form.get_by_label("Name").fill(stage.config["introduced_anew"])
    form.get_by_role("button").click()
    assert f"The introduction of your node {own} becomes" in read_plan(page)
    ((node, *_),) = agree(page, stage, "setMetadata")
    assert node == int(own, 16)
    card.locator("summary").click()
    form = card.get_by_role("form", name="Your part of what voters")
    form.get_by_label("Your part").fill("12.5")
    form.get_by_role("button").click()
    words = read_plan(page)
    assert "earns, you keep 12.5 %" in words
    assert "It rises about" in words
    assert agree(page, stage, "announceCommission") == [[int(own, 16), 1_250]]


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
        "own-locked": "own",
    }
    for look, options in LOOKS.items():
        page = stage.page(**options)
        for name, place in places.items():
            open_at(page, stage, place)
            page.locator("h1").wait_for()
            page.wait_for_timeout(700)
            fits(page, f"{name} {look}")
            stage.screenshot(page, f"{name}-{look}")
        own_looks(page, stage, look)
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


def own_looks(page: Page, stage: Stage, look: str) -> None:
    """The node's own page with a picture that is made there, once, and the page of its task."""
    open_own(page, stage)
    until_offered(page, stage)
    card = page.locator("#gallery article").first
    if look == "light":
        page.locator("#try [name=prompt]").fill("a red fox")
        page.locator("#try form button").click()
    card.locator("img").wait_for()
    card.locator(".actions button").first.click()
    card.locator(".fits").wait_for()
    fits(page, f"own {look}")
    stage.screenshot(page, f"own-{look}")
    card.locator("a[href^='#/task/']").click()
    page.locator(".fits").wait_for()
    fits(page, f"task {look}")
    stage.screenshot(page, f"task-{look}")


FAULTS = """() => {
  const all = (what) => [...document.querySelectorAll(what)].filter((node) => node.checkVisibility());
  const labelled = (node) => [...node.labels].map((label) => label.textContent).join();
  const textOf = (node) => (node.matches("button") || !node.labels ? node.textContent : labelled(node));
  const nameless = all("button, a[href], input, select, textarea, summary, [role=img], nav")
    .filter((node) => !(node.getAttribute("aria-label") ?? textOf(node)).trim());
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  const pointing = all("[aria-describedby], [aria-labelledby], label[for]").flatMap((node) =>
    ["aria-describedby", "aria-labelledby", "for"].map((name) => node.getAttribute(name)).filter(Boolean));
  const levels = all("main h1, main h2, main h3, main h4").map((node) => Number(node.tagName[1]));
  return [
    ...nameless.map((node) => `no name: ${node.outerHTML.slice(0, 99)}`),
    ...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `twice: ${id}`),
    ...pointing.filter((id) => !ids.includes(id)).map((id) => `points nowhere: ${id}`),
    ...all("img:not([alt])").map(() => "a picture without words"),
    ...all("a a, a button, button button, summary button, label label").map(() => "one within the other"),
    ...(levels.filter((level) => level === 1).length === 1 ? [] : [`headings: ${levels}`]),
    ...levels.filter((level, at) => at && level > levels[at - 1] + 1).map((level) => `gap before h${level}`),
    ...(["en", "hi"].includes(document.documentElement.lang) ? [] : ["no language"]),
  ];
}"""
"""What a screen reader would stumble over; less than axe looks at."""


def fits(page: Page, what: str) -> None:
    """Nothing is wider than the window, and nothing is without the words that a screen reader reads."""
    wide, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= window, f"{what}: {wide} wide in a window of {window}"
    assert page.evaluate(FAULTS) == [], what


def strangers(stage: Stage) -> None:
    """A hostile introduction, a hostile page on another port, other wallets, a wrong chain, a keyboard
    alone."""
    refused = "Failed to load resource: the server responded with a status of"
    stage.forgiven = (f"{refused} 400", f"{refused} 404")
    hostile_introduction(stage)
    hostile_page(stage)
    fallback_and_wrong_chain(stage)
    by_keyboard(stage)
    no_wallet(stage)
    node_and_chain_gone(stage)
    two_nodes(stage)


def hostile_introduction(stage: Stage) -> None:
    page = stage.page(wallet=False)
    open_at(page, stage, f"node/{stage.config['miner']}")
    told = page.locator(".introduction")
    expect(told).to_contain_text("<img src=x")
    assert told.locator("img, script, a, b").count() == 0
    shown = told.inner_text()
    assert "\u202e" not in shown
    assert "\u0007" not in shown
    # What turns text around ends where it stands.
    assert told.locator("bdi").first.get_attribute("dir") == "auto"
    fits(page, "a hostile introduction")
    page.set_viewport_size({"width": 360, "height": 740})
    fits(page, "a hostile introduction on a phone")
    stage.screenshot(page, "hostile-introduction")
    page.context.close()


class HostilePage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>free CAI</title>")

    def log_message(self, *arguments: Any) -> None:
        del arguments


ATTACK = """async ([url, code]) => {
  const outcomes = {};
  const attempt = async (name, work) => {
    try { outcomes[name] = await work(); } catch (error) { outcomes[name] = "refused"; }
  };
  const wish = JSON.stringify({ action: "faucet", account: "0x" + "1".repeat(40), amount: "1" });
  await attempt("read", async () => (await fetch(url + "/api/network")).status);
  await attempt("opaque", async () => (await fetch(url + "/api/network", { mode: "no-cors" })).type);
  await attempt("plan", async () => (await fetch(url + "/api/plan",
    { method: "POST", headers: { "content-type": "application/json" }, body: wish })).status);
  await attempt("form", async () => (await fetch(url + "/api/plan",
    { method: "POST", mode: "no-cors", headers: { "content-type": "text/plain" }, body: wish })).type);
  const asked = JSON.stringify({ code });
  await attempt("session", async () => (await fetch(url + "/api/session",
    { method: "POST", headers: { "content-type": "application/json" }, body: asked })).status);
  await attempt("session form", async () => (await fetch(url + "/api/session",
    { method: "POST", mode: "no-cors", headers: { "content-type": "text/plain" }, body: asked })).type);
  const headers = { "x-cuckoo-session": code };
  await attempt("own", async () => (await fetch(url + "/api/own", { headers })).status);
  const load = (tag, attribute, path) => new Promise((done) => {
    const node = document.createElement(tag);
    node.onload = () => done(tag === "iframe" ? "loaded" : "loaded");
    node.onerror = () => done("refused");
    node[attribute] = url + path;
    document.body.append(node);
  });
  await attempt("script", () => load("script", "src", "/main.js"));
  await attempt("image", () => load("img", "src", "/icon.svg"));
  await attempt("frame", async () => {
    await load("iframe", "src", "/");
    try { return frames[0].document.title; } catch { return "refused"; }
  });
  return outcomes;
}"""


def hostile_page(stage: Stage) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), HostilePage)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = stage.browser.new_context().new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    link = session_link(stage)
    outcomes = page.evaluate(ATTACK, [stage.url, link.partition("=")[2]])
    assert set(outcomes.values()) == {"refused"}, outcomes
    # Not even a code that it has got hold of opens anything there, and the owner's link is good all the same.
    ours = stage.page(wallet=False)
    ours.goto(link)
    expect(ours.get_by_role("heading", name="How it is")).to_be_visible()
    ours.context.close()
    # The same page under a name that leads here: rebinding.
    rebound = stage.url.replace("127.0.0.1", "rebound.localhost")
    answer = page.goto(f"{rebound}/api/network")
    assert (answer.status, answer.json()) == (421, {"error": {"code": "foreign_host"}})
    page.context.close()
    server.shutdown()


def fallback_and_wrong_chain(stage: Stage) -> None:
    """The wallet at `window.ethereum` alone, on another chain: told, not sent, and switched by a button."""
    page = stage.page(fallback=True)
    stage.chain_id = 1
    open_at(page, stage, "stake")
    page.get_by_role("button", name="Connect the browser's wallet").click()
    expect(page.get_by_text("Your wallet is on chain 1; this network is on chain 31337.")).to_be_visible()
    stage.asked.clear()
    form = page.locator("#faucet")
    form.get_by_label("Amount").fill("1")
    form.get_by_role("button").click()
    read_plan(page)
    page.get_by_role("button", name="Open the wallet").click()
    expect(page.locator("dialog .problem")).to_contain_text("Your wallet is on chain 1")
    assert stage.sent() == []
    page.get_by_role("button", name="Close").click()
    stage.screenshot(page, "wrong-chain")
    page.get_by_role("button", name="Switch the wallet to chain 31337").click()
    expect(page.get_by_text("Your wallet is on chain 1;")).to_have_count(0)
    assert ("wallet_switchEthereumChain", [{"chainId": hex(31337)}]) in stage.asked
    page.context.close()


def by_keyboard(stage: Stage) -> None:
    """To a node's page and its dialog without a pointer; the focus is seen and comes back."""
    page = stage.page()
    connect(page, stage)
    page.locator("#faucet input").focus()
    page.keyboard.type("0,5")
    page.keyboard.press("Enter")
    expect(page.locator("dialog .problem")).to_contain_text("That is no amount of CAI.")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    assert page.evaluate("document.activeElement.name") == "amount"
    page.keyboard.press("Control+a")
    page.keyboard.type("0.5")
    page.keyboard.press("Enter")
    page.locator("dialog .does").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Open the wallet"
    page.keyboard.press("Escape")
    page.goto(f"{stage.url}/#/nodes/miner")
    page.locator("td a").first.wait_for()
    page.locator("header nav a").last.focus()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('td a')"):
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator(".introduction")).to_be_visible()
    page.context.close()


def node_and_chain_gone(stage: Stage) -> None:
    """A node or a chain that is silent is said at the top of the page, and so is that it is back."""
    page = stage.page(wallet=False)
    stage.forgiven = (*stage.forgiven, "Failed to load resource: ")
    open_at(page, stage, "")
    banner = page.locator(".banner")
    expect(banner).to_have_count(0)
    page.context.set_offline(True)
    expect(banner).to_contain_text("This node does not answer.")
    stage.screenshot(page, "node-gone")
    page.context.set_offline(False)
    expect(banner).to_have_count(0)
    told = {"status": 502, "json": {"error": {"code": "chain"}}}
    silent = [True]
    page.route("**/api/overview", lambda route: route.fulfill(**told) if silent else route.continue_())
    expect(banner).to_contain_text("The node cannot reach the chain")
    silent.clear()
    expect(banner).to_have_count(0)
    page.context.close()


def two_nodes(stage: Stage) -> None:
    """Another node's page, in another tab: each says whose it is, and asks its own node alone."""
    context = stage.browser.new_context()
    for url, role in ((stage.url, "coordinator"), (stage.config["miner_url"], "miner")):
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(url + "/")
        expect(page.locator("footer p").first).to_contain_text(f"This page is served by the {role} 0x")
        assert all(place.startswith(url + "/") for place in asked), asked
    assert context.cookies() == []
    context.close()


def no_wallet(stage: Stage) -> None:
    """Everything can be read; what is wrong is said."""
    page = stage.page(wallet=False)
    open_at(page, stage, "stake")
    expect(page.get_by_text("No wallet was found in this browser.")).to_be_visible()
    open_at(page, stage, f"address/{stage.config['account']}")
    expect(page.get_by_text("CAI in the account")).to_be_visible()
    assert page.locator("main button").count() == 0
    open_at(page, stage, "node/0x" + "9" * 40)
    expect(page.get_by_text("is not registered as a node. It may be an account.")).to_be_visible()
    page.locator("[name=address]").fill("0x12")
    page.get_by_role("button", name="Find").click()
    expect(page.locator(".search .problem")).to_be_visible()
    page.locator("select").select_option("hi")
    expect(page.get_by_role("link", name="सारांश")).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name="सारांश")).to_be_visible()
    page.context.close()


PLAYS = {"journey": journey, "looks": looks, "strangers": strangers, "draws": draws}


def main() -> None:
    name, config = sys.argv[1], json.loads(sys.argv[2])
    with open_stage(config) as stage:
        PLAYS[name](stage)


if __name__ == "__main__":
    main()

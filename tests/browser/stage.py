"""A browser for a play: pages with a wallet in them, and a record of what must not happen.

Is: Playwright around the machine's own chromium; runs in `.venv`, not in the node's environment.
Is not: what is played (`play`).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

PROVIDER = (Path(__file__).parent / "provider.js").read_text()
PATIENCE_MS = 60_000
"""For what the node, the chain and the page do together."""
REFUSED = {"code": 4001, "message": "User rejected the request."}


@dataclass
class Stage:
    """One browser.

    :ivar config: of the test that started the play.
    :ivar asked: what the wallet was asked, in that order, with its parameters.
    :ivar says_no: whether the wallet's owner refuses what is to be sent.
    :ivar chain_id: that the wallet says it is on; None for the truth.
    :ivar forgiven: what the console may say: a browser writes there that it was refused something.
    :ivar faults: errors on the console, and requests that left the node.
    """

    config: dict[str, Any]
    browser: Any
    wallet: subprocess.Popen[str]
    asked: list[tuple[str, Any]] = field(default_factory=list)
    says_no: bool = False
    chain_id: int | None = None
    faults: list[str] = field(default_factory=list)
    forgiven: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return self.config["url"]

    def page(self, *, wallet: bool = True, fallback: bool = False, **options: Any) -> Page:
        """A page in a context of its own. :param options: of the context, such as `color_scheme`."""
        context = self.browser.new_context(**{"locale": "en-GB", "timezone_id": "UTC", **options})
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", self._see)
        if wallet:
            page.expose_function("cuckooTestWallet", self._answer)
            if fallback:
                page.add_init_script("window.cuckooTestFallback = true;")
            page.add_init_script(PROVIDER)
        return page

    def sent(self) -> list[dict[str, str]]:
        """Transactions that the wallet was asked for."""
        return [parameters[0] for method, parameters in self.asked if method == "eth_sendTransaction"]

    def screenshot(self, page: Page, name: str) -> None:
        """An artefact: the whole page as it is."""
        folder = Path(self.config["artefacts"])
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    def chain(self, method: str, *parameters: Any) -> Any:
        """Ask the test's chain, which can let time pass."""
        return self._tell_wallet("chain", [method, *parameters])["result"]

    def _hear(self, message: Any) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(self.forgiven or "\0"):
            self.faults.append(f"console: {message.text}")

    def _see(self, request: Any) -> None:
        if not request.url.removeprefix("blob:").startswith(self.url + "/"):
            self.faults.append(f"request: {request.url}")

    def _answer(self, method: str, parameters: list[Any]) -> dict[str, Any]:
        self.asked.append((method, parameters))
        if method == "eth_sendTransaction" and self.says_no:
            return {"error": REFUSED}
        if method == "wallet_switchEthereumChain":
            self.chain_id = None
            return {"result": None}
        if method == "eth_chainId" and self.chain_id is not None:
            return {"result": hex(self.chain_id)}
        answer = self._tell_wallet(method, parameters)
        if "error" in answer:
            return {"error": {"code": -32603, "message": answer["error"]}}
        return answer

    def _tell_wallet(self, method: str, parameters: list[Any]) -> dict[str, Any]:
        assert self.wallet.stdin is not None
        assert self.wallet.stdout is not None
        self.wallet.stdin.write(json.dumps({"method": method, "params": parameters}) + "\n")
        self.wallet.stdin.flush()
        found: dict[str, Any] = json.loads(self.wallet.stdout.readline())
        return found


@contextmanager
def open_stage(config: dict[str, Any]) -> Iterator[Stage]:
    """A browser and a wallet until the context ends; nothing that must not happen may have happened."""
    command = [config["python"], "-m", "tests.browser.wallet", config["rpc_url"]]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as wallet,
        sync_playwright() as playwright,
    ):
        assert wallet.stdin is not None
        wallet.stdin.write(config["secret"] + "\n")
        wallet.stdin.flush()
        # No request of the browser's own: it looks for updates and more.
        arguments = ["--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=config["browser"], args=arguments)
        expect.set_options(timeout=PATIENCE_MS)
        stage = Stage(config, browser, wallet)
        try:
            yield stage
        finally:
            browser.close()
            wallet.stdin.close()
        assert not stage.faults, stage.faults

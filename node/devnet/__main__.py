"""`python -m node.devnet demo|equivocation|up`: what the Makefile's verbs run."""

from __future__ import annotations

import sys
from pathlib import Path

import cyclopts
import trio
from cyclopts import App
from rich.console import Console

from node.commands.errors import show_errors
from node.devnet import demo as demonstrations
from node.devnet.market import DEFAULT_PLAN, Market, open_market
from node.system.lifetime import stopped_by_signals
from node.system.logs import configure_logs

app = App(
    name="python -m node.devnet",
    help="A whole market on this machine.",
    config=cyclopts.config.Env("CUCKOO_"),
)
console = Console(highlight=False, soft_wrap=True)
FOLDER = Path(".devnet")
UP_API_PORT = 8420
UP_PORTAL_PORT = 8440
CHEATED_PLAN = (*DEFAULT_PLAN[:-1], demonstrations.CHEAT)


def _tell(step: str) -> None:
    console.print(f"[dim]·[/dim] {step}")


@app.command
def demo(
    *,
    prompt: str = demonstrations.PROMPT,
    seed: int = demonstrations.SEED,
    image: Path = Path("demo.png"),
    folder: Path = FOLDER,
) -> None:
    """Send one prompt through a market of five processes and a chain; write and prove the picture."""

    async def show() -> None:
        async with stopped_by_signals(), open_market(folder, _tell) as market:
            await demonstrations.wait_until_ready(market)
            await demonstrations.show_market(market, console, image, prompt, seed)
            _tell("stopping all processes")

    trio.run(show)


@app.command
def equivocation(*, folder: Path = FOLDER) -> None:
    """The same market with a miner that signs two results for one task: caught, proven, slashed."""

    async def show() -> None:
        async with stopped_by_signals(), open_market(folder, _tell, CHEATED_PLAN) as market:
            await demonstrations.wait_until_ready(market)
            await demonstrations.show_equivocation(market, console)
            _tell("stopping all processes")

    trio.run(show)


@app.command
def up(
    *,
    folder: Path = FOLDER,
    api_port: int = UP_API_PORT,
    portal_port: int = UP_PORTAL_PORT,
    with_cheat: bool = False,
) -> None:
    """Run the market until Ctrl-C.

    Parameters
    ----------
    folder
        Emptied first; then holds everything.
    api_port
        Of the coordinator's API; 0 takes any.
    portal_port
        Of the coordinator's portal; 0 takes any.
    with_cheat
        One of the miners signs two results for each of its tasks.
    """
    plan = CHEATED_PLAN if with_cheat else DEFAULT_PLAN

    async def run() -> None:
        async with stopped_by_signals(), open_market(folder, _tell, plan, api_port, portal_port) as market:
            await demonstrations.wait_until_ready(market)
            market.describe()
            _describe(market)
            await trio.sleep_forever()

    trio.run(run)


def _describe(market: Market) -> None:
    token_file = market.folder / "coordinator" / "api-token"
    console.print(f"""
[bold]The devnet is up.[/bold] Ctrl-C ends it, with all its processes.

  portal     {market.portal_url}   (in a browser: watch, stake, vote)
  API        {market.api_url}/v1   (OpenAI Images; token in {token_file})
  chain      {market.rpc_url}   (chain {market.deployment.chain_id})
  CAI        0x{market.deployment.cai.hex()}
  Staking    0x{market.deployment.staking.hex()}
  Slashing   0x{market.deployment.slashing.hex()}
  network    {market.network_folder}   (for --network)
  staker     {market.staker_key}   (a key with gas; its password: {market.password_file})
  logs       {market.folder}/*/node.log

Try:
  (umask 077; echo "Authorization: Bearer $(cat {token_file})" > {market.folder}/api-header)
  curl -s {market.api_url}/v1/images/generations -H @{market.folder}/api-header \\
    -H 'Content-Type: application/json' \\
    -d '{{"prompt": "{demonstrations.PROMPT}"}}' | head -c 300
""")


def main() -> None:
    """Entry point."""
    configure_logs("warning", as_json=False)
    sys.exit(show_errors(app, name="devnet"))


if __name__ == "__main__":
    main()

"""What the market's tests ask about money: vouchers in the miners' files, and what the chain says of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import trio

from contracts.clients import Clients
from contracts.rpc import connect
from node.devnet.market import DEPOSIT_CAI, OWNER_KEY_FILE
from node.pay.earnings import EARNINGS_FILE, open_earnings
from node.pay.vouchers import EscrowDomain
from node.peer.network import load_network
from protocol.amounts import WEI_PER_CAI, WEI_PER_MICRO_CAI
from tests.limits import CHILD_TIMEOUT_S

DEPOSIT_WEI = DEPOSIT_CAI * WEI_PER_CAI
PRICE_WEI = 10_000 * WEI_PER_MICRO_CAI
"""Of an image as the model makes it by itself, at the default price."""
LOST_WEI_MAX = PRICE_WEI
"""A slice of the largest task of these tests is less."""
SETTLE_TIMEOUT_S = 180


class Money:
    """The money of one running market."""

    def __init__(self, market):
        self.market = market
        self.deployment = load_network(market.description["network"]).deployment
        self.addresses = {
            name: bytes.fromhex(address.removeprefix("0x"))
            for name, address in market.description["addresses"].items()
        }
        self.coordinator = self.addresses["coordinator"]
        self.miners = {name: one for name, one in self.addresses.items() if name.startswith("miner")}

    def name_of(self, address: bytes) -> str:
        return next(name for name, one in self.addresses.items() if one == address)

    def data_dir(self, name: str) -> Path:
        return Path(self.market.description["nodes"][name]["data_dir"])

    def earnings(self, name: str):
        return open_earnings(
            self.data_dir(name) / EARNINGS_FILE, self.addresses[name], EscrowDomain.of(self.deployment)
        )

    def promised_wei(self, name: str) -> int:
        """By the best voucher in a miner's file."""
        with self.earnings(name) as earnings:
            return earnings.account(self.coordinator).promised_wei

    def claimed_wei(self, name: str, task_id: str) -> int:
        """What vouchers have paid a miner for one task."""
        with self.earnings(name) as earnings:
            return earnings.claimed_wei(bytes.fromhex(task_id))

    def ask(self, question):
        """The answer of an async function of the chain's clients."""

        async def work():
            async with connect(self.market.description["rpc_url"]) as rpc:
                return await question(Clients(rpc, self.deployment))

        return trio.run(work)

    def account(self, name: str):
        """What the chain says of the coordinator and a miner."""
        return self.ask(lambda clients: clients.escrow.account(self.coordinator, self.addresses[name]))

    def command(self, *arguments: str, owner_of: str = "") -> str:
        """Run `cuckoo-peer …` on this network, with the staker's key or that of a node's owner."""
        owner_key = self.data_dir(owner_of) / OWNER_KEY_FILE if owner_of else None
        places = {
            "CUCKOO_NETWORK": self.market.description["network"],
            "CUCKOO_OWNER_KEY": str(owner_key or self.market.description["staker_key"]),
            "CUCKOO_PASSWORD_FILE": self.market.description["password_file"],
        }
        run = subprocess.run(
            [sys.executable, "-m", "node.cli", *arguments],
            capture_output=True,
            text=True,
            timeout=CHILD_TIMEOUT_S,
            env=os.environ | places,
        )
        assert run.returncode == 0, run.stderr
        return run.stdout

    def purse(self) -> dict[str, int]:
        with self.market.client() as client:
            pay = client.get("/v1/cuckoo/status").json()["pay"]
        return {name: int(wei) for name, wei in pay.items()}

    def signed_wei(self) -> int:
        """All that the coordinator has ever signed for, redeemed or not."""
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while True:
            balance_wei, accounts, _ = self._settled()
            purse = self.purse()
            # Until then, the coordinator has not seen a redemption that the chain tells of.
            if purse["deposit_wei"] == balance_wei:
                return purse["outstanding_wei"] + sum(account.paid_wei for account in accounts)
            assert time.monotonic() < deadline, (purse, balance_wei)
            time.sleep(0.2)

    def lost_wei(self) -> int:
        """Signed for, and with no miner: a voucher that was on its way when its miner was killed."""
        return self.signed_wei() - sum(self.promised_wei(name) for name in self.miners)

    def assert_nothing_is_lost(self, lost_before_wei: int = 0) -> None:
        """To the last wei: the deposit is what is free, what was signed for, and what was booked.

        What was signed is with the miners, but for `lost_before_wei` and one voucher; see `lost_wei`.
        """
        balance_wei, accounts, escrow_wei = self._settled()
        paid_wei = sum(account.paid_wei for account in accounts)
        assert balance_wei + paid_wei == DEPOSIT_WEI
        assert escrow_wei == DEPOSIT_WEI - sum(account.collected_wei for account in accounts)
        assert all(account.debt_wei == 0 for account in accounts)
        held = [self.promised_wei(name) for name in self.miners]
        assert all(account.paid_wei <= held_wei for account, held_wei in zip(accounts, held, strict=True))
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while True:
            purse = self.purse()
            lost_wei = purse["outstanding_wei"] + paid_wei - sum(held) - lost_before_wei
            # A coordinator asks what was paid before it asks for the deposit: of a redemption between the two
            # it knows the one half, and the other at its next look.
            if not purse["held_wei"] and purse["deposit_wei"] == balance_wei and lost_wei <= LOST_WEI_MAX:
                break
            assert time.monotonic() < deadline, (purse, balance_wei, paid_wei, held)
            time.sleep(0.2)
        assert purse["free_wei"] + purse["outstanding_wei"] + paid_wei == DEPOSIT_WEI
        assert lost_wei >= 0

    def _settled(self):
        """Deposit, accounts and what the escrow holds of it, when two looks in a row agree."""

        async def look(clients):
            accounts = [await clients.escrow.account(self.coordinator, one) for one in self.miners.values()]
            deposits = {
                name: (await clients.escrow.deposit_of(address)).balance_wei
                for name, address in self.addresses.items()
            }
            own_wei = deposits.pop("coordinator")
            escrow_wei = await clients.token.balance(self.deployment.escrow)
            return own_wei, accounts, escrow_wei - sum(deposits.values())

        seen = None
        while (now := self.ask(look)) != seen:
            seen = now
        return now

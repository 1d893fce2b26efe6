"""Redeems a miner's vouchers: when the credit is half used, when a coordinator leaves, now and then.

Is: the looking, and one transaction for many vouchers, paid for by the node's key.
Is not: the sending on to the miner's owner (`collect` in `earnings_cli`), which nobody can take away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import structlog
import trio

from contracts.errors import ChainError, ContractReverted
from contracts.escrow import EscrowClient
from contracts.records import VOUCHERS_PER_CALL_MAX
from contracts.transactions import Sender
from node.pay.earnings import Account, Earnings
from node.pay.standing import Exposure, Standings, why_redeem
from p2p.wakeups import Signal

LOOKS_PER_PASS_MAX = 64
"""Coordinators whose standing is asked for in one pass; of more, the rest comes next time."""
REDEEM_EVERY_S = 6 * 3600.0
"""All vouchers are redeemed this often, those for less than a task's price excepted."""
URGE_EVERY_S = 3600.0
"""Vouchers of one coordinator are redeemed because newer ones are inconsistent at most this often."""
RETRY_S = 30.0
"""Pause after a transaction that failed; a miner without coins for gas would ask without end."""
DEPOSIT_UNKNOWN = "a coordinator's deposit could not be asked for"

log = structlog.get_logger()


@dataclass(slots=True)
class RedeemerCounts:
    """Since the start."""

    vouchers_redeemed: int = 0
    redeeming_failed: int = 0


class Redeemer:
    """One miner's. :ivar counts: since the start."""

    def __init__(
        self,
        earnings: Earnings,
        standings: Standings,
        escrow: EscrowClient,
        sender: Sender,
        exposure_of: Callable[[bytes], Exposure],
        *,
        limit_wei: int,
        least_wei: int,
    ) -> None:
        """:param limit_wei: credit of a coordinator.

        :param least_wei: what is worth the gas; else a coordinator could make us pay more than we earn.
        """
        self.counts = RedeemerCounts()
        self._earnings = earnings
        self._standings = standings
        self._escrow = escrow
        self._sender = sender
        self._exposure_of = exposure_of
        self._limit_wei = limit_wei
        self._least_wei = least_wei
        self._own_stake_wei: dict[bytes, int] = {}
        self._urgent: set[bytes] = set()
        self._urged_s: dict[bytes, float] = {}
        self._looked = 0
        self._kicked = Signal()

    def urge(self, coordinator: bytes) -> None:
        """Schedule an early redemption when newer vouchers are worth less than the one held claims.

        It may have lost its ledger; then it finds back in the contract what it had promised. Or it wants to
        make us pay for gas; so this is done once in a while only.
        """
        now_s = trio.current_time()
        if now_s >= self._urged_s.get(coordinator, -URGE_EVERY_S) + URGE_EVERY_S:
            self._urged_s[coordinator] = now_s
            self._urgent.add(coordinator)
            self.kick()

    def kick(self) -> None:
        """Have it look at once."""
        self._kicked.notify()

    async def run(self, poll_s: float) -> None:
        """Look every `poll_s`, and when kicked, for as long as the miner runs."""
        next_of_all_s = trio.current_time() + REDEEM_EVERY_S
        while True:
            kicked = self._kicked.next_event()
            failed = self.counts.redeeming_failed
            if trio.current_time() >= next_of_all_s:
                next_of_all_s = trio.current_time() + REDEEM_EVERY_S
                await self.redeem_all("it is time")
            else:
                await self._look(poll_s / 2)
            if self.counts.redeeming_failed > failed:
                await trio.sleep(RETRY_S)
            with trio.move_on_after(poll_s):
                await kicked.wait()

    async def redeem_all(self, reason: str) -> None:
        """Redeem whatever is worth it."""
        worth = []
        for account in self._earnings.accounts():
            standing = self._standings.known(account.coordinator)
            exposure = self._exposure_of(account.coordinator)
            unredeemed_wei = account.promised_wei if standing is None else exposure.unredeemed_wei(standing)
            if unredeemed_wei >= max(1, self._least_wei):
                worth.append(account)
        await self._redeem(worth, reason)

    async def _look(self, age_max_s: float) -> None:
        """Ask the chain about those who owe, and redeem from those of whom there is a reason to."""
        accounts = [account for account in self._earnings.accounts() if account.best is not None]
        start = self._looked % len(accounts) if accounts else 0
        self._looked = start + LOOKS_PER_PASS_MAX
        urgent: list[Account] = []
        reasons: set[str] = set()
        for account in islice([*accounts[start:], *accounts[:start]], LOOKS_PER_PASS_MAX):
            try:
                reason = await self._reason(account, age_max_s)
            except ContractReverted as error:
                log.warning(DEPOSIT_UNKNOWN, error=str(error))
                continue  # that was about this coordinator
            except ChainError as error:
                log.warning(DEPOSIT_UNKNOWN, error=str(error))
                return
            if reason is not None:
                urgent.append(account)
                reasons.add(reason)
        await self._redeem(urgent, "; ".join(sorted(reasons)))

    async def _reason(self, account: Account, age_max_s: float) -> str | None:
        standing = await self._standings.of(account.coordinator, age_max_s)
        exposure = self._exposure_of(account.coordinator)
        before_wei = self._own_stake_wei.get(account.coordinator)
        reason = why_redeem(standing, exposure, self._limit_wei, before_wei)
        unredeemed_wei = exposure.unredeemed_wei(standing)
        if unredeemed_wei < self._least_wei:
            reason = None
        if account.coordinator in self._urgent:
            self._urgent.discard(account.coordinator)
            if unredeemed_wei:
                reason = reason or "its vouchers do not add up"
        if standing.node is not None and reason is None:
            self._own_stake_wei[account.coordinator] = standing.node.own_stake_wei
        return reason

    async def _redeem(self, accounts: Sequence[Account], reason: str) -> None:
        for start in range(0, len(accounts), VOUCHERS_PER_CALL_MAX):
            batch = accounts[start : start + VOUCHERS_PER_CALL_MAX]
            try:
                await self._send(batch)
            except ContractReverted:
                # One of them stands in the way of the others.
                for account in batch:
                    await self._try([account], reason)
            except ChainError as error:
                self._failed(error)
            else:
                self._redeemed(batch, reason)

    async def _try(self, batch: Sequence[Account], reason: str) -> None:
        try:
            await self._send(batch)
        except (ChainError, ContractReverted) as error:
            self._failed(error)
        else:
            self._redeemed(batch, reason)

    async def _send(self, batch: Sequence[Account]) -> None:
        held = [account.best for account in batch if account.best is not None]
        vouchers, signatures = [one.voucher for one in held], [one.signature for one in held]
        await self._escrow.redeem_many(self._sender, vouchers, signatures)
        try:
            for account in batch:
                standing = await self._standings.of(account.coordinator, 0.0)
                if standing.node is not None:
                    self._own_stake_wei[account.coordinator] = standing.node.own_stake_wei
        except (ChainError, ContractReverted) as error:
            # They are redeemed all the same, and a transaction that is sent again costs gas again.
            log.warning(DEPOSIT_UNKNOWN, error=str(error))

    def _redeemed(self, batch: Sequence[Account], reason: str) -> None:
        self.counts.vouchers_redeemed += len(batch)
        log.info("vouchers redeemed", coordinators=len(batch), why=reason)

    def _failed(self, error: Exception) -> None:
        self.counts.redeeming_failed += 1
        log.warning(
            "vouchers not redeemed; trying again",
            error=str(error),
            next="see whether the node's key has coins for gas, or: cuckoo-peer miner redeem",
        )

"""The drawn miner dies in mid-task, and the picture still comes, from the next in the ranking."""

import os
import signal

import pytest

from protocol.receipt import verify_document
from tests.limits import CHILD_TIMEOUT_S
from tests.market.asking import Watched
from tests.market.money import PRICE_WEI, Money

pytestmark = pytest.mark.process
STEPS, SLICE_STEPS, LOST_AT_STEP = 100, 12, 30
TASK_WEI = PRICE_WEI * STEPS // 20


@pytest.mark.parametrize("freezes", [False, True], ids=["killed", "frozen"])
def test_drawn_miner_lost_in_mid_task(rogue_market, freezes):
    money = Money(rogue_market)
    lost_before_wei, signed_before_wei = money.lost_wei(), money.signed_wei()
    watched = Watched(rogue_market, steps=STEPS)
    # Far enough for a voucher or two.
    watched.wait(lambda it: it.step >= LOST_AT_STEP, CHILD_TIMEOUT_S)
    lost_address = watched.working
    lost = money.name_of(bytes.fromhex(lost_address.removeprefix("0x")))
    if freezes:
        os.kill(rogue_market.process_of(lost), signal.SIGSTOP)
        watched.wait_until_over(CHILD_TIMEOUT_S)
    command = rogue_market.kill(lost)
    try:
        watched.wait_until_over(CHILD_TIMEOUT_S)
        assert [name for name, _ in watched.events] == ["image_generation.completed"], watched.events
        assert any(item.startswith(f"lost {lost_address}") for item in watched.comments), watched.comments
        with rogue_market.client() as client:
            receipt = verify_document(client.get(f"/v1/cuckoo/tasks/{watched.task_id}").json())
        assigned = receipt.announcement.message.assigned
        assert "0x" + assigned[0].hex() == lost_address
        winner = receipt.commitment.signer.address
        assert winner == assigned[1]
        # Both are paid for their own steps.
        paid_steps = money.claimed_wei(lost, watched.task_id) * STEPS // TASK_WEI
        assert LOST_AT_STEP - SLICE_STEPS < paid_steps < STEPS
        assert money.claimed_wei(money.name_of(winner), watched.task_id) == TASK_WEI
        # A voucher may have been on its way when the miner was lost: that is signed, and nobody has it.
        signed_wei = money.signed_wei() - signed_before_wei - TASK_WEI
        assert signed_wei in {TASK_WEI * steps // STEPS for steps in (paid_steps, paid_steps + SLICE_STEPS)}
        money.command("miner", "redeem", str(money.data_dir(lost)))
        money.assert_nothing_is_lost(lost_before_wei)
    finally:
        rogue_market.mend({lost: command})

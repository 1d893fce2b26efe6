"""A person with a wallet and no terminal: faucet, register, stake, vote, a picture, claim, unbond, withdraw,
in a browser."""

import json
import sys
import time
from pathlib import Path

import pytest
import trio

from contracts.account import Account
from contracts.clients import Clients
from contracts.consent import sign_consent
from contracts.contract import selector_of
from contracts.records import Consent, Role
from contracts.transactions import Sender
from node.devnet.market import OWNER_KEY_FILE, NodePlan, open_market
from node.signing.keys import open_keystore
from node.system.lifetime import NODE_FILE
from protocol.amounts import WEI_PER_CAI
from protocol.receipt import verify_document
from tests.browser import PYTHON, browser, missing
from tests.contracts.world import NODE_SECRET
from tests.market.asking import WHOLE, tell

REPOSITORY = Path(__file__).parents[2]
ARTEFACTS = REPOSITORY / "build" / "browser"
PLAY_TIMEOUT_S = 300
PLAN = (
    NodePlan("coordinator", Role.COORDINATOR, 2_500_000),
    NodePlan("miner-1", Role.MINER, 25_000),
)
FUNDED_CAI = 1_000_000
HOSTILE_TEXT = json.dumps(
    {
        "name": "\u202e<img src=x onerror=alert(1)>\u0007" + "अ" * 40 + "W" * 120,
        "url": "javascript:alert(1)",
        "models": ["</script><b>bold</b>", "\u2066\u2067"],
    },
    ensure_ascii=False,
)
HOSTILE_NAME = "\u202e<img src=x onerror=alert(1)>\u0007 मेरा माइनर"
NEW_NAME = "नया नाम"

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(missing() is not None, reason=f"the portal in a browser: {missing()}"),
]


def quiet(step):
    del step


async def play(name, market, **more):
    """Have a play played on a market; everything that it asserts holds when this returns."""
    secret = open_keystore(market.staker_key, market.password_file.read_bytes().strip()).secret
    deployment = market.deployment
    functions = (
        "approve", "faucet", "stake", "vote", "unvote", "withdraw", "claim", "register", "setMetadata",
        "announceCommission",
    )  # fmt: skip
    config = {
        "url": market.portal_url,
        "rpc_url": market.rpc_url,
        "secret": secret.hex(),
        "python": sys.executable,
        "browser": browser(),
        "artefacts": str(ARTEFACTS),
        "account": "0x" + market.staker.address.hex(),
        "chain_id": deployment.chain_id,
        "contracts": {name: "0x" + address.hex() for name, address in deployment.contracts().items()},
        "staking": "0x" + deployment.staking.hex(),
        "selectors": {
            item: "0x"
            + selector_of("DevelopmentCAI" if item in {"approve", "faucet"} else "Staking", item).hex()
            for item in functions
        },
        "data_dir": str(market.folder / "coordinator"),
        "miner": "0x" + next(key for key, name in market.names.items() if name == "miner-1").hex(),
        **more,
    }
    with trio.fail_after(PLAY_TIMEOUT_S):
        done = await trio.run_process(
            [str(PYTHON), "-m", "tests.browser.play", name, json.dumps(config)],
            cwd=REPOSITORY,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    return done.stdout.decode()


async def test_a_person_with_a_wallet_takes_part_from_faucet_to_withdrawal(tmp_path):
    async with open_market(tmp_path / "devnet", quiet, PLAN) as market:
        clients, reporter = Clients(market.rpc, market.deployment), Sender(market.rpc, market.reporter)
        await clients.token.faucet(reporter, FUNDED_CAI * WEI_PER_CAI)
        await clients.token.approve(reporter, market.deployment.staking, FUNDED_CAI * WEI_PER_CAI)
        await clients.rewards.fund(reporter, FUNDED_CAI * WEI_PER_CAI)
        own = Account(NODE_SECRET).address
        consent = Consent(
            owner=market.staker.address, node=own, role=Role.MINER, deadline_s=int(time.time()) + 86_400
        )
        signature = sign_consent(NODE_SECRET, consent, market.deployment.chain_id, market.deployment.staking)
        document = {
            "owner": "0x" + consent.owner.hex(),
            "node": "0x" + own.hex(),
            "role": "miner",
            "deadline_s": consent.deadline_s,
            "signature": "0x" + signature.hex(),
        }
        told = await play(
            "journey",
            market,
            own_node="0x" + own.hex(),
            consent=json.dumps(document),
            introduced_as=HOSTILE_NAME,
            introduced_anew=NEW_NAME,
        )
        tell(told.strip())
        receipt = verify_document(json.loads((ARTEFACTS / "receipt.json").read_text()))
        assert receipt.matches((ARTEFACTS / "picture.png").read_bytes())
        info = await clients.staking.node_info(own)
        assert info is not None
        assert (info.owner, info.active) == (market.staker.address, True)
        assert info.own_stake_wei == 20_501 * WEI_PER_CAI
        assert json.loads(await clients.metadata.read(own)) == {"name": NEW_NAME}
        assert (await clients.rewards.commission(own)).next == 1_250
        balance = await clients.token.balance(market.staker.address)
        # All but what stands behind the own node, and what was earned.
        assert balance > (50_000 - 20_501) * WEI_PER_CAI


@pytest.mark.skipif(not WHOLE, reason="a part of the whole figures: make long")
async def test_strangers_words_and_pages__and_each_page_in_each_look(tmp_path):
    async with open_market(tmp_path / "devnet", quiet, PLAN) as market:
        clients = Clients(market.rpc, market.deployment)
        password = market.password_file.read_bytes().strip()
        key = open_keystore(market.folder / "miner-1" / OWNER_KEY_FILE, password)
        miner = next(address for address, name in market.names.items() if name == "miner-1")
        owner = Sender(market.rpc, Account(key.secret))
        await clients.staking.set_metadata(owner, miner, HOSTILE_TEXT)
        miner_url = json.loads((market.folder / "miner-1" / NODE_FILE).read_text())["portal_url"]
        await play("strangers", market, miner_url=miner_url)
        await play("looks", market)
        await play("draws", market)

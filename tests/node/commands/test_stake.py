"""`chain unvote|claimable|metadata|burn-slashed` as people type them, on a real chain."""

import io
import re

import pytest

from contracts.errors import ContractReverted
from contracts.records import Equivocation
from node.commands import chain as chain_cli
from node.commands import stake as stake_cli
from node.portal.wishes import parse_consent
from node.signing.keys import SCRYPT_N_LIGHT, create_keystore
from protocol.amounts import WEI_PER_CAI, format_cai
from protocol.errors import LocalError
from tests.contracts.conftest import chain_process, deployment
from tests.contracts.world import MINER_STAKE_WEI, NODE, OTHER_NODE, OTHER_NODE_SECRET, SLOT
from tests.node.commands.chain_place import town
from tests.node.commands.test_escrow import TIME, refused

pytestmark = pytest.mark.process
__all__ = ["chain_process", "deployment"]
ADDRESS = "0x" + NODE.hex()
STAKED = format_cai(MINER_STAKE_WEI)


@pytest.fixture
def here(chain_process, deployment, tmp_path):
    with town(chain_process, deployment, tmp_path) as found:
        found.do(lambda world: world.register())
        yield found


@pytest.fixture
def typed(monkeypatch):
    """Answers at a terminal."""

    def answer(text):
        terminal = io.StringIO(text)
        terminal.isatty = lambda: True
        monkeypatch.setattr("sys.stdin", terminal)

    return answer


def owner_of(here):
    return "0x" + here.do(unmoved).hex()


async def unmoved(world):
    return world.owner.address


def test_a_consent_lets_its_owner_register_and_nobody_else(here, capsys):
    place = here.folder / "other-node.json"
    create_keystore(place, b"password", secret=OTHER_NODE_SECRET, scrypt_n=SCRYPT_N_LIGHT)
    where = {"network": here.signer.network, "password_file": here.signer.password_file}
    stake_cli.consent(place, role="miner", owner=owner_of(here), **where)
    consent, signature = parse_consent(capsys.readouterr().out)

    async def register(world):
        with pytest.raises(ContractReverted, match="ConsentNotByNode"):
            await world.staking.register(world.ann, consent, signature, metadata="")
        await world.staking.stake(world.owner, OTHER_NODE, MINER_STAKE_WEI)
        await world.staking.register(world.owner, consent, signature, metadata="")
        return await world.staking.node_info(OTHER_NODE)

    assert here.do(register).owner == consent.owner
    message = "a consent lasts 1 to 365 days, not 0"
    assert refused(stake_cli.consent, place, role="miner", owner=owner_of(here), days=0, **where) == message


def test_a_part_is_taken_back_after_a_yes(here, capsys, typed):
    typed("y\n")
    stake_cli.unvote(ADDRESS, "1,000.5", signer=here.signer)
    shown = capsys.readouterr().out
    assert shown.startswith(f"1,000.5 CAI of your {STAKED} begin to leave {ADDRESS}, and earn nothing more\n")
    assert re.search(rf"request 1: 1,000\.5 CAI, released at {TIME}\n", shown)
    assert shown.endswith(f"then take it with: cuckoo-peer chain withdraw {ADDRESS} 1\n")
    assert re.fullmatch(
        rf"request 1 is released at {TIME}", refused(stake_cli.withdraw, ADDRESS, 1, signer=here.signer)
    )
    left_wei = MINER_STAKE_WEI - 1_000 * WEI_PER_CAI - WEI_PER_CAI // 2
    stake_cli.claimable(ADDRESS, owner_of(here), options=here.options)
    assert capsys.readouterr().out.startswith(f"staked     {format_cai(left_wei)}\nclaimable  ")


def test_nothing_is_taken_back_without_a_yes(here, capsys, typed, monkeypatch):
    for answer in ("\n", "n\n", "later\n"):
        typed(answer)
        assert refused(stake_cli.unvote, ADDRESS, "all", signer=here.signer) == "nothing was done"
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert refused(stake_cli.unvote, ADDRESS, "all", signer=here.signer) == (
        "no terminal to ask at; repeat the command with --yes"
    )
    too_much = refused(stake_cli.unvote, ADDRESS, "20,002", signer=here.signer, yes=True)
    assert too_much == f"you have {STAKED} behind it, and asked for 20,002 CAI"
    stake_cli.claimable(ADDRESS, owner_of(here), options=here.options)
    assert f"staked     {STAKED}" in capsys.readouterr().out


def test_all_is_taken_back(here, capsys):
    stake_cli.unvote(ADDRESS, "all", signer=here.signer, yes=True)
    assert f"request 1: {STAKED}, released at" in capsys.readouterr().out
    owner = owner_of(here)
    assert refused(stake_cli.unvote, ADDRESS, "1", signer=here.signer, yes=True) == (
        f"{owner} has no stake behind {ADDRESS}"
    )


def test_metadata_is_replaced(here, capsys):
    stake_cli.metadata(ADDRESS, "icons, day and night", signer=here.signer)
    chain_cli.node(ADDRESS, options=here.options)
    assert "metadata   'icons, day and night'\n" in capsys.readouterr().out
    assert refused(stake_cli.metadata, ADDRESS, "x" * 513, signer=here.signer) == (
        "the metadata has 513 bytes; the most is 512"
    )


def test_what_is_slashed_is_burned(here, capsys):
    async def cheat(world):
        one, other = world.statement(b"one"), world.statement(b"other")
        equivocation = Equivocation(
            kind=2,
            slot=SLOT,
            body_a=one.body,
            signature_a=one.signature,
            body_b=other.body,
            signature_b=other.signature,
        )
        await world.slashing.submit_equivocation(world.ben, equivocation)

    here.do(cheat)
    stake_cli.burn_slashed(signer=here.signer)
    shown = capsys.readouterr().out
    assert shown.startswith("burned: 18,")
    assert refused(stake_cli.vote, ADDRESS, "1", signer=here.signer)


def test_claimable_of_who_is_not_registered(here):
    stranger = "0x" + "11" * 20
    assert (
        refused(stake_cli.claimable, stranger, stranger, options=here.options)
        == f"{stranger} is not registered"
    )
    with pytest.raises(LocalError, match="is not an amount of CAI above zero"):
        stake_cli.unvote(ADDRESS, "0", signer=here.signer)


def test_too_little_money_is_said_in_words(here, capsys):
    words = refused(stake_cli.stake, ADDRESS, "2,000,000,000", signer=here.signer)
    assert re.fullmatch(
        rf"{owner_of(here)} has [\d,.]+ CAI in tokens and needs 2,000,000,000 CAI; on a development "
        r"network, get more with: cuckoo-peer chain faucet AMOUNT; where CAI is the coin, with: "
        r"cuckoo-peer chain wrap AMOUNT",
        words,
    )

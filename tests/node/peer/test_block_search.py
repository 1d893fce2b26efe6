"""The search for a block by time: right for any chain, and cheap on an even one."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.blocks import Block
from node.peer import block_search
from node.peer.block_search import HALVE_EVERY, BlocksDisagree, KnownBlocks
from tests.protocol.strategies import lawful


def chain_of(times_s, name=0) -> list[Block]:
    """Blocks from 0 on with these times."""

    def hash_of(number):
        return bytes([name]) + number.to_bytes(31, "big")

    return [
        Block(n, hash_of(n), hash_of(n - 1) if n else bytes(32), time_s) for n, time_s in enumerate(times_s)
    ]


def search(chain, moment_ms, known=None) -> tuple[Block | None, int]:
    """What is found in a chain whose last block is known, and how many questions that took."""
    known = KnownBlocks() if known is None else known
    known.add(chain[-1])
    for asked in itertools.count():
        number = known.question(moment_ms, halve=asked % HALVE_EVERY == HALVE_EVERY - 1)
        if number is None:
            return known.first_from(moment_ms), asked
        known.add(chain[number])
    raise AssertionError


@lawful
@given(st.lists(st.integers(0, 30), min_size=1, max_size=300), st.integers(-5_000, 9_000_000))
def test_the_first_block_from_a_moment_on_is_found(gaps_s, moment_ms):
    """Whatever the times: equal ones, jumps, and all blocks early or late."""
    chain = chain_of(itertools.accumulate(gaps_s))
    expected = next((block for block in chain if 1000 * block.time_s >= moment_ms), None)
    found, asked = search(chain, moment_ms)
    assert found == expected
    assert asked <= 3 * len(chain).bit_length() + 4


@pytest.mark.parametrize("block_s", [1, 2, 12])
def test_an_even_chain_is_searched_with_few_questions(block_s):
    chain = chain_of(range(0, 100_000 * block_s, block_s))
    head_ms = 1000 * chain[-1].time_s
    for ago_s in (30, 120, 3_600):
        _, asked = search(chain, head_ms - 1000 * ago_s)
        # Back past the moment in steps that double, then two or three to find it.
        assert asked <= (ago_s // (16 * block_s)).bit_length() + 4
    known = KnownBlocks()
    search(chain, head_ms - 60_000, known)
    _, asked = search(chain, head_ms - 60_000, known)
    assert asked == 0


def test_what_is_known_is_not_asked_for_again():
    """A thousand deadlines in one minute of blocks cost no more than that minute has blocks."""
    chain, known, asked = chain_of(range(0, 4_000, 2)), KnownBlocks(), 0
    for tenth in range(1_000):
        found, more = search(chain, 3_000_000 + 60 * tenth, known)
        assert found is not None
        asked += more
    assert asked <= 45


def test_a_moment_after_all_blocks_has_none():
    chain = chain_of([0, 5, 10])
    known = KnownBlocks()
    known.add(chain[-1])
    assert known.question(10_001, halve=False) is None
    assert known.first_from(10_001) is None
    assert search(chain, 10_000) == (chain[2], 2)


def test_blocks_of_two_chains_are_told_apart():
    one, other = chain_of([0, 5, 10, 15], 1), chain_of([0, 5, 12, 15], 2)
    for first, second in ((one[2], other[2]), (one[1], other[2]), (other[2], one[1])):
        known = KnownBlocks()
        known.add(first)
        with pytest.raises(BlocksDisagree):
            known.add(second)
    # Times that fall are no chain's, however far apart.
    known = KnownBlocks()
    known.add(one[3])
    with pytest.raises(BlocksDisagree, match="not of one chain"):
        known.add(Block(1, bytes(32), bytes(32), 16))


def test_more_blocks_than_are_kept(monkeypatch):
    monkeypatch.setattr(block_search, "BLOCKS_KEPT_MAX", 5)
    chain, known = chain_of(range(10)), KnownBlocks()
    for block in chain[::-1][:5]:
        known.add(block)
    assert (len(known), known.highest) == (5, chain[9])
    known.add(chain[0])
    assert (len(known), known.highest) == (1, chain[0])

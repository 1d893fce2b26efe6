"""Owners and ages of nodes: looked up by address, in a table with a bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import registrations
from protocol.registrations import BLOCK_MAX, Registrations
from tests.protocol.strategies import lawful

addresses = st.binary(min_size=20, max_size=20)
tables = st.dictionaries(addresses, st.tuples(addresses, st.integers(0, BLOCK_MAX)), max_size=20)
NODE, OWNER = b"n" * 20, b"o" * 20


@lawful
@given(tables, addresses, st.randoms(use_true_random=False))
def test_each_node_is_found_whatever_the_order(table, other, random):
    entries = [(node, owner, block) for node, (owner, block) in table.items()]
    made = Registrations.of(entries)
    random.shuffle(entries)
    assert Registrations.of(entries) == made
    assert len(made) == len(table)
    for node, (owner, block) in table.items():
        assert (made.owner_of(node), made.block_of(node)) == (owner, block)
    if other not in table:
        assert (made.owner_of(other), made.block_of(other)) == (other, None)


def test_nobody_is_its_own_owner_in_an_empty_table():
    assert Registrations() == Registrations.of([])
    assert (Registrations().owner_of(NODE), Registrations().block_of(NODE)) == (NODE, None)


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([(NODE, OWNER, 1), (NODE, OWNER, 2)], "registered once"),
        ([(NODE[1:], OWNER, 1)], "20 bytes"),
        ([(NODE, OWNER + b"o", 1)], "20 bytes"),
        ([(NODE, OWNER, BLOCK_MAX + 1)], "64 bits"),
        ([(NODE, OWNER, -1)], "64 bits"),
    ],
)
def test_what_no_chain_tells_is_refused(entries, why):
    with pytest.raises(ValueError, match=why):
        Registrations.of(entries)


def test_more_nodes_than_a_table_holds(monkeypatch):
    monkeypatch.setattr(registrations, "REGISTRATIONS_MAX", 2)
    entries = [(bytes([number]) * 20, OWNER, 1) for number in range(3)]
    assert len(Registrations.of(entries[:2])) == 2
    with pytest.raises(ValueError, match="3 nodes where at most 2"):
        Registrations.of(entries)

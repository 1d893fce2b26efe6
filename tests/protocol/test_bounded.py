from protocol.bounded import Bounded


def test_a_bounded_mapping_forgets_its_oldest():
    bounded: Bounded[str, int] = Bounded(2)
    for number, name in enumerate("abc"):
        bounded[name] = number
    assert dict(bounded) == {"b": 1, "c": 2}


def test_an_entry_that_is_set_again_is_new_again():
    """A miner that renews its offer must outlive those that went away."""
    bounded: Bounded[str, int] = Bounded(2)
    bounded["a"] = 0
    bounded["b"] = 1
    bounded["a"] = 2
    bounded["c"] = 3
    assert dict(bounded) == {"a": 2, "c": 3}

"""For all tests: libraries that raise the recursion limit are imported here, where it is put back."""

from contracts.recursion import kept_recursion_limit

with kept_recursion_limit():
    import eth_account  # noqa: F401 - imported for its side effect, before any test does

"""Stock clients in folders of their own, never in the project's environment; `tests/market/` runs them."""

from pathlib import Path

FOLDER = Path(__file__).parent
PYTHON = FOLDER / ".venv" / "bin"
"""Programs of the Python clients; `make setup` installs them."""

"""The mark of a node that has moved away."""

import pytest

from node.system.moved import MOVED_FILE, mark_moved, require_not_moved
from protocol.errors import MustStop


def test_where_the_mark_lies_the_node_does_not_start(tmp_path):
    require_not_moved(tmp_path)
    mark_moved(tmp_path, tmp_path / "node.tar")
    with pytest.raises(MustStop, match="this node has moved"):
        require_not_moved(tmp_path)
    (tmp_path / MOVED_FILE).unlink()
    require_not_moved(tmp_path)

"""What the pages have a wallet sign, and how they take what strangers wrote; see `pages.js`."""

import shutil
import subprocess
from pathlib import Path

import pytest

from node.portal import files

STATIC = Path(files.__file__).parent / "static"


@pytest.mark.process
@pytest.mark.skipif(shutil.which("node") is None, reason="the pages' scripts: no node")
def test_the_pages_scripts(tmp_path):
    for script in [*STATIC.glob("*.js"), Path(__file__).with_name("pages.js")]:
        shutil.copy(script, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    done = subprocess.run(
        ["node", "pages.js"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 9

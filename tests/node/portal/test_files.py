"""The static files: small, of this node alone, without inline code, and no path but theirs."""

import posixpath
import re

import pytest

from node.portal.files import CHECKS, FIRST_PAGE_BYTES_MAX, load_files

FILES = load_files()
NOBLE = f"{CHECKS}noble/"
OWN = [path for path in FILES if not path.startswith(NOBLE)]


def test_the_first_page_is_small():
    first = [file for path, file in FILES.items() if not path.startswith(CHECKS)]
    assert sum(len(file.body) for file in first) <= FIRST_PAGE_BYTES_MAX


def test_a_first_page_fetches_no_checks():
    for path in OWN:
        if not path.startswith(CHECKS):
            text = FILES[path].body.decode()
            at_once = re.findall(r'^(?:import|export) .*from "(.*)"', text, re.MULTILINE)
            assert not any("checks/" in name for name in at_once)


def test_they_are_all_there():
    assert {"/", "/main.js", "/style.css", "/strings.json", "/icon.svg"} <= set(FILES)
    assert all(re.fullmatch(r"/([a-z0-9]+\.(js|css|json|svg))?", path) for path in OWN if CHECKS not in path)
    assert all(re.fullmatch(r"/checks/([a-z]+/)*[a-z0-9_]+\.js", path) for path in FILES if CHECKS in path)


@pytest.mark.parametrize("path", OWN)
def test_nothing_is_fetched_from_elsewhere(path):
    # Names of formats are no addresses that anybody asks.
    text = FILES[path].body.decode().replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"""(?:src|href)=["'](?!/)""", text) == []
    assert "//" not in re.sub(r"^\s*//.*$|(?<=[;,)}]) // .*$", "", text, flags=re.MULTILINE).replace(
        "#\\/?", ""
    )


@pytest.mark.parametrize("path", [path for path in FILES if path.endswith((".js", "/"))])
def test_no_text_becomes_markup_or_code(path):
    text = FILES[path].body.decode()
    for forbidden in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
    ):
        assert forbidden not in text
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", text) == []


def test_imports_are_of_files_that_are_there():
    for path, file in FILES.items():
        if path.endswith(".js"):
            text = file.body.decode()
            for name in re.findall(
                r"""(?:^(?:import|export) .*from |import\()["'](\.[^"']+)["']""", text, re.MULTILINE
            ):
                assert posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) in FILES
            assert re.findall(r"""^import .*from ["'][^.]""", text, re.MULTILINE) == []

"""The static files: small, of this node alone, without inline code, and no path but theirs."""

import re

import pytest

from node.portal.files import FIRST_PAGE_BYTES_MAX, load_files

FILES = load_files()


def test_the_first_page_is_small():
    assert sum(len(file.body) for file in FILES.values()) <= FIRST_PAGE_BYTES_MAX


def test_they_are_all_there():
    assert {"/", "/main.js", "/style.css", "/strings.json", "/icon.svg"} <= set(FILES)
    assert all(re.fullmatch(r"/([a-z0-9]+\.(js|css|json|svg))?", path) for path in FILES)


@pytest.mark.parametrize("path", FILES)
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
            for name in re.findall(r'from "\.(/[a-z0-9]+\.js)"', file.body.decode()):
                assert name in FILES

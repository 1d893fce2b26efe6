"""Aliases and the URLs of the settings: their forms, and what is refused at the start."""

import re
from pathlib import Path

import pytest

from node.api.aliases import ALIASES_MAX, Alias, BadAlias, parse_aliases
from node.api.services import ApiOptions, BadUrl
from node.settings import CoordinatorSettings


def test_an_alias_may_name_a_size_a_qualified_model_or_neither():
    texts = ["dall-e-3=icons@32x32", "a/b:c=icons@1a2b3c4d", "x=icons@1a2b3c4d@64x32", "gpt-image-1=icons"]
    assert list(parse_aliases(texts).values()) == [
        Alias("dall-e-3", "icons", (32, 32)),
        Alias("a/b:c", "icons@1a2b3c4d"),
        Alias("x", "icons@1a2b3c4d", (64, 32)),
        Alias("gpt-image-1", "icons"),
    ]


@pytest.mark.parametrize(
    "text", ["", "a", "=b", "a=", "a b=c", "a=C", "a=b=c", "a\n=b", "ä=b", "x" * 65 + "=b"]
)
def test_what_is_no_alias_is_named(text):
    reason = f"--model-alias {text!a}: it is not NAME=MODEL or NAME=MODEL@WIDTHxHEIGHT"
    with pytest.raises(BadAlias, match=f"^{re.escape(reason)}$"):
        parse_aliases([text])


def test_a_name_has_one_alias_and_there_is_a_limit():
    with pytest.raises(BadAlias, match=r"^--model-alias 'a=c': the name has an alias already$"):
        parse_aliases(["a=b", "a=c"])
    with pytest.raises(BadAlias, match=f": there are more than {ALIASES_MAX} aliases$"):
        parse_aliases([f"a{number}=b" for number in range(ALIASES_MAX + 1)])


def settings(**values):
    return CoordinatorSettings(data_dir=Path("nowhere"), **values)


def test_the_options_are_those_of_the_settings():
    options = ApiOptions.of(
        settings(public_url="https://a.example/", cors_origin=("http://b.example:1",), model_alias=("c=d",))
    )
    assert options == ApiOptions("https://a.example", ("http://b.example:1",), {"c": Alias("c", "d")})
    assert ApiOptions.of(settings()) == ApiOptions()


@pytest.mark.parametrize(
    "url", ["node.example", "ftp://a", "http://", "https://a/b", "https://a?b", "http://u@a"]
)
@pytest.mark.parametrize("flag", ["public_url", "cors_origin"])
def test_urls_of_another_form_are_named(flag, url):
    value = url if flag == "public_url" else (url,)
    with pytest.raises(
        BadUrl, match=f"^--{flag.replace('_', '-')} '.*' is not http:// or https:// with a host"
    ):
        ApiOptions.of(settings(**{flag: value}))

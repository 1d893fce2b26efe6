"""The pages' words, as tests look at them."""

import json
import re

from node.portal.files import load_files

STRINGS = json.loads(load_files()["/strings.json"].body)
PLACE = re.compile(r"\{(\w+):(\w+)\}")


def places(key, language="en"):
    """Names and forms of the values that a sentence shows."""
    return set(PLACE.findall(STRINGS[key][language]))


def fits(key, values):
    """Whether there are words for a key, and each value that they show is there."""
    return key in STRINGS and {name for name, _ in places(key)} <= set(values)

"""OpenAI's parameters, and ours beside them: which work, which have no effect here, which are refused.

Is: the table, and the fields that do not depend on a model. Is not: the request to a model (`generation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from node.api.fields import Fields
from node.api.picture_formats import COMPRESSION_MAX, FORMATS, Format, PictureFormat
from node.coordinator.requests import BadRequest
from protocol.audit import Audits
from protocol.pay import PRICE_MICRO_CAI_MAX

IMAGES_MAX: Final = 10
PARTIAL_IMAGES_MAX: Final = 3
NAME_SHOWN_MAX: Final = 64
"""Characters of an unknown field's name that an error repeats."""

WORKING: Final = frozenset(
    {
        "background",
        "model",
        "n",
        "output_compression",
        "output_format",
        "partial_images",
        "prompt",
        "response_format",
        "size",
        "stream",
        # Ours.
        "audits",
        "dry_run",
        "guidance",
        "negative_prompt",
        "price_max_micro_cai",
        "seed",
        "steps",
        "truncation",
    }
)
WITHOUT_EFFECT: Final[dict[str, tuple[str, ...]]] = {
    "complexity": ("low", "medium", "high"),
    "input_fidelity": ("low", "high"),
    "moderation": ("auto", "low"),
    "quality": ("auto", "standard", "hd", "low", "medium", "high", "xhigh", "max"),
    "safety_identifier": (),
    "style": ("vivid", "natural"),
    "user": (),
}
"""Parameters that clients send as a matter of course, with their words; none stands for any text."""
REFUSED: Final = {
    "frame_count": "animations are not served",
    "frame_duration_ms": "animations are not served",
    "markup": "markup is not served; say it in the prompt",
    "mask": "masks are not served; models here draw whole images",
    "svg": "vector graphics are not served",
}
"""Parameters that would change the picture, and cannot be followed here, with the reason."""
AUDITS: Final = {"public": Audits.PUBLIC, "buyer": Audits.BUYER_ONLY}
"""Words of `audits`."""
IGNORED_HEADER: Final = "x-cuckoo-ignored"
"""Names the parameters of a request that had no effect."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The wishes of a body besides the picture itself.

    :ivar count: pictures.
    :ivar stream: whether to answer as events.
    :ivar previews: unfinished pictures on the way.
    :ivar format: of all pictures.
    :ivar as_link: whether to answer with links instead of bytes.
    :ivar may_be_cut: whether a prompt that is longer than the model reads is drawn all the same.
    :ivar dry_run: whether to say the price only.
    :ivar price_max_micro_cai: most that all pictures together may cost; None for the coordinator's own limit.
    :ivar audits: whose audits the work is open to.
    :ivar ignored: names of parameters that have no effect.
    """

    count: int
    stream: bool
    previews: int
    format: PictureFormat
    as_link: bool
    may_be_cut: bool
    dry_run: bool
    price_max_micro_cai: int | None
    audits: Audits
    ignored: tuple[str, ...]


def parse_parameters(fields: Fields, further: frozenset[str] = frozenset()) -> Parameters:
    """Read the fields that hold for every model.

    :param further: names of fields that the caller reads.
    :raises BadRequest: one is wrong, not known, or cannot be done; names it.
    """
    ignored = _check_names(fields, further)
    stream = fields.flag("stream")
    count = fields.integer("n", 1, 1, IMAGES_MAX)
    as_link = fields.choice("response_format", ("b64_json", "url"), "b64_json") == "url"
    if stream and as_link:
        ignored.append("response_format")
    previews = fields.integer("partial_images", 0, 0, PARTIAL_IMAGES_MAX)
    if previews and not stream:
        ignored.append("partial_images")
    picture_format = PictureFormat(
        cast("Format", fields.choice("output_format", FORMATS, "png")),
        fields.integer("output_compression", COMPRESSION_MAX, 0, COMPRESSION_MAX),
    )
    if picture_format.name == "png" and picture_format.quality != COMPRESSION_MAX:
        ignored.append("output_compression")
    if fields.choice("background", ("auto", "opaque", "transparent")) == "transparent":
        raise BadRequest("background", "transparent backgrounds are not served; leave it at auto or opaque")
    price_max = None
    if "price_max_micro_cai" in fields:
        price_max = fields.integer("price_max_micro_cai", 0, 0, PRICE_MICRO_CAI_MAX)
    return Parameters(
        count=count,
        stream=stream,
        previews=previews if stream else 0,
        format=picture_format,
        as_link=as_link and not stream,
        may_be_cut=fields.choice("truncation", ("auto", "disabled"), "auto") == "auto",
        dry_run=fields.flag("dry_run"),
        price_max_micro_cai=price_max,
        audits=AUDITS[fields.choice("audits", tuple(AUDITS), "public")],
        ignored=tuple(sorted(ignored)),
    )


def _check_names(fields: Fields, further: frozenset[str]) -> list[str]:
    """Names of those that have no effect. A choice that is left to us (`auto`) is not one.

    :raises BadRequest: one is wrong, unknown or refused.
    """
    ignored = []
    for name in fields.names():
        if name in REFUSED:
            raise BadRequest(name, REFUSED[name])
        if name in WITHOUT_EFFECT:
            words = WITHOUT_EFFECT[name]
            if (fields.choice(name, words) if words else fields.text(name)) != "auto":
                ignored.append(name)
        elif name not in WORKING | further:
            # As escapes: half of a surrogate pair can be in a name, too.
            shown = ascii(name[:NAME_SHOWN_MAX])
            raise BadRequest(shown[1:-1], f"the parameter {shown} is not known")
    return ignored

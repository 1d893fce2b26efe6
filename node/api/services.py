"""The dialects' common things: the coordinator, its models, and what the operator chose for the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from urllib.parse import urlsplit

from starlette.types import Scope

from node.api.aliases import Alias, parse_aliases
from node.api.currency import Currency
from node.api.histories import Histories
from node.api.links import PictureLinks
from node.api.prompt_tokens import PromptTokens
from node.api.serving import Serving
from node.api.tokens.desk import Desk
from node.api.tokens.store import TokenStore
from node.api.webhooks import Webhooks, parse_hosts
from node.coordinator.catalogue import Catalogue
from node.coordinator.coordinator import Coordinator
from node.settings import CoordinatorSettings
from node.system.context import NodeContext
from protocol.errors import LocalError


class BadUrl(LocalError):
    """A URL in the settings cannot be used. :ivar url: it."""

    def __init__(self, flag: str, url: str) -> None:
        super().__init__(f"{flag} {url!a} is not http:// or https:// with a host and nothing behind it")
        self.url = url


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """The operator's choices.

    :ivar public_url: where a proxy shows this node, without a slash at its end; empty for nowhere.
    :ivar origins: of pages that may use the API from a browser.
    :ivar aliases: by the name that apps send.
    :ivar currency: in which prices are said beside CAI.
    :ivar webhooks: hosts that may be called, with their ports.
    """

    public_url: str = ""
    origins: tuple[str, ...] = ()
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    currency: Currency = field(default_factory=lambda: Currency(None), compare=False)
    webhooks: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def of(cls, settings: CoordinatorSettings) -> ApiOptions:
        """Those of a node's settings.

        :raises BadUrl: a URL is of another form.
        :raises BadAlias: an alias is.
        :raises BadRate: the currency's file is.
        :raises BadHookHost: a host for webhooks is.
        """
        public_url = settings.public_url.rstrip("/")
        for flag, urls in (
            ("--public-url", (public_url,) if public_url else ()),
            ("--cors-origin", settings.cors_origin),
        ):
            for url in urls:
                if not _is_origin(url):
                    raise BadUrl(flag, url)
        aliases, currency = parse_aliases(settings.model_alias), Currency(settings.currency_file)
        hosts = parse_hosts(settings.webhook_host)
        return cls(public_url, settings.cors_origin, aliases, currency, hosts)


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            bool(parts.hostname)
            and url == f"{parts.scheme}://{parts.netloc}"
            and parts.scheme in {"http", "https"}
            and "@" not in url
        )
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Services:
    """The things that handlers work with. :ivar context: what is seen of the node. :ivar tokens: but one."""

    coordinator: Coordinator
    catalogue: Catalogue
    context: NodeContext
    options: ApiOptions
    tokens: TokenStore
    desk: Desk
    serving: Serving
    histories: Histories
    links: PictureLinks = field(default_factory=PictureLinks)
    prompt_tokens: PromptTokens = field(default_factory=PromptTokens)
    webhooks: Webhooks = field(default_factory=Webhooks)

    @property
    def version(self) -> str:
        """Of this program."""
        return metadata.version("cuckoo-peer")

    def base_url(self, scope: Scope) -> str:
        """The beginning of links that we give: never the Host header's, which a stranger may choose."""
        if self.options.public_url:
            return self.options.public_url
        host, port = scope["server"]
        return f"http://{host}:{port}" if port else f"http://{host}"

"""URLs that apps name: whom the node calls, and whom nobody makes it call."""

import datetime as dt
import json
import re
import ssl
import threading
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from node.api import webhooks as webhooks_module
from node.api.services import ApiOptions
from node.api.webhooks import (
    CALL_S_MAX,
    CALLS,
    HOSTS_MAX,
    URL_CHARACTERS_MAX,
    WAITING_MAX,
    WAITING_OF_TOKEN_MAX,
    BadHookHost,
    Hook,
    Webhooks,
    WebhookStatus,
    addresses_of,
    is_public,
    parse_hosts,
)
from node.coordinator.requests import BadRequest
from node.settings import CoordinatorSettings
from tests.limits import HANG_S

HOST, PUBLIC = "hooks.example", "93.184.216.34"
LISTED = frozenset({(HOST, 443), ("other.example", 8443)})
NOT_SO = "webhook: it is not https://HOST/PATH, without a name, password or fragment"


def knowing(*addresses, hosts=LISTED, tls=None):
    """Webhooks whose resolver gives these lists of addresses, one after another, and what it was asked."""
    asked, answers = [], list(addresses)

    def lookup(host, port):
        asked.append((host, port))
        return answers.pop(0)

    return Webhooks(hosts, lookup, tls), asked


async def refusal_of(webhooks, url):
    with pytest.raises(BadRequest) as caught:
        await webhooks.find("webhook", url, "ann")
    assert caught.value.field == "webhook"
    return caught.value.reason


async def test_a_url_of_a_listed_host():
    webhooks, asked = knowing([PUBLIC, "2606:2800:220:1::1"], [PUBLIC], [PUBLIC])
    assert await webhooks.find("webhook", "HTTPS://Hooks.Example", "ann") == Hook(HOST, 443, "/", PUBLIC)
    assert await webhooks.find("webhook", "https://hooks.example:443/a/?b=c", "ann") == Hook(
        HOST, 443, "/a/?b=c", PUBLIC
    )
    other = await webhooks.find("webhook", "https://other.example:8443/", "ann")
    assert other == Hook("other.example", 8443, "/", PUBLIC)
    assert asked == [(HOST, 443), (HOST, 443), ("other.example", 8443)]


async def test_without_a_list_nothing_is_called_or_asked_for():
    webhooks, asked = knowing(hosts=frozenset())
    reason = "webhook: this node calls no URLs; ask for the status instead"
    assert await refusal_of(webhooks, f"https://{HOST}/") == reason
    assert (asked, webhooks.status()) == ([], WebhookStatus(0, 0, 0, 1, 0))


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/", "https://hooks.example:8443/", "https://127.0.0.1/", "https://other.example/"],
)
async def test_attack_a_host_or_port_that_is_not_listed(url):
    webhooks, asked = knowing()
    told = url.removeprefix("https://").rstrip("/")
    told = told if ":" in told else f"{told}:443"
    reason = f"webhook: the node's operator has not listed {told}; ask for the status instead"
    assert (await refusal_of(webhooks, url), asked) == (reason, [])


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "https://hooks.example@evil.example/",
        "https://ann:secret@hooks.example/",
        "https://evil.example\\@hooks.example/",
        "https://hooks.example\\.evil.example/",
        "https://hooks.example#@evil.example/",
        "https://hooks.example?@evil.example/",
        "https://hooks.example/#part",
        "https://hooks.example./",
        "https://hooks.example /",
        " https://hooks.example/",
        "https://hooks.example/\r\nHost: evil.example",
        "https://hooks.exam\tple/",
        "https://hooks.example\n",
        "https://hooks。example/",
        "https://\u210eooks.example/",
        "https://hooks.example:/",
        "https://hooks.example:443443/",
        "https://[::1]/",
        "https://hooks.example%2eevil.example/",
        "//hooks.example/",
        "https:hooks.example/",
        "file:///etc/passwd",
        "https://",
        "https://hooks.example/" + "a" * URL_CHARACTERS_MAX,
    ],
)
async def test_attack_tricks_with_names_passwords_and_white_space(url):
    webhooks, asked = knowing()
    assert (await refusal_of(webhooks, url), asked) == (NOT_SO, [])


@settings(max_examples=30)
@given(st.text("htps:/@.#?\\%[] \nexamplok0127"))
def test_law_any_text_is_a_listed_url_or_refused(text):
    webhooks, asked = knowing([PUBLIC])
    reason = trio.run(refusal_of, webhooks, f"https://{text}")
    assert (reason.partition(" ")[0], asked) == ("webhook:", [])


PRIVATE = [
    "127.0.0.1",
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.168.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:93.184.216.34",
    "64:ff9b::7f00:1",
    "2001:0:5db8:d822::1",
    "2002:7f00:1::",
    "2001:db8::1",
    "fc00::1",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
]


@pytest.mark.parametrize("address", PRIVATE)
async def test_attack_a_name_that_leads_to_a_private_address(address):
    assert not is_public(address)
    for found in ([address], [PUBLIC, address]):
        webhooks, _ = knowing(found)
        reason = f"webhook: the host {HOST} has an address that is not public"
        assert await refusal_of(webhooks, f"https://{HOST}/") == reason


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:220:1::1"])
def test_public_addresses(address):
    assert is_public(address)


async def test_a_host_without_an_address_is_refused():
    def nowhere(host, port):
        raise OSError

    for lookup in (nowhere, lambda host, port: []):
        assert await refusal_of(Webhooks(LISTED, lookup), f"https://{HOST}/") == (
            f"webhook: the host {HOST} has no address"
        )


@pytest.fixture
def resolver():
    """A resolver in which the host `HOST` answers when it is let go."""
    go = threading.Event()

    def lookup(host, port):
        if host == HOST:
            go.wait(HANG_S)
        return [PUBLIC]

    lookup.go = go
    yield lookup
    go.set()


async def test_attack_a_host_that_nobody_finds_takes_only_its_own_tokens_lookups(resolver, monkeypatch):
    """Also given up, its thread goes on; so long its token has no other, and all others have theirs."""
    monkeypatch.setattr(webhooks_module, "CALL_S_MAX", 0.2)
    webhooks, url = Webhooks(LISTED, resolver), f"https://{HOST}/"
    another = "webhook: another request of this token looks for its host; ask again in some seconds"
    late = f"webhook: the address of {HOST} did not come in 0.2 s; ask again"
    reasons = []

    async def ask():
        reasons.append(await refusal_of(webhooks, url))

    async with trio.open_nursery() as nursery:
        for _ in range(CALLS + 1):
            nursery.start_soon(ask)
    assert sorted(reasons) == [another] * CALLS + [late]
    assert await refusal_of(webhooks, "https://other.example:8443/") == another
    monkeypatch.setattr(webhooks_module, "CALL_S_MAX", HANG_S)
    hook = await webhooks.find("webhook", "https://other.example:8443/", "bob")
    assert hook == Hook("other.example", 8443, "/", PUBLIC)
    resolver.go.set()
    with trio.fail_after(HANG_S):
        while webhooks._looking:
            await trio.sleep(0.01)
    assert (await webhooks.find("webhook", url, "ann")).host == HOST


async def test_attack_lookups_that_are_given_up_before_they_begin_do_not_lock_their_token(
    resolver, monkeypatch
):
    monkeypatch.setattr(webhooks_module, "CALL_S_MAX", 0.2)
    monkeypatch.setattr(webhooks_module, "_LOOKUPS", trio.CapacityLimiter(1))
    webhooks, url = Webhooks(LISTED, resolver), f"https://{HOST}/"
    late = "webhook: the address of {} did not come in 0.2 s; ask again"
    assert await refusal_of(webhooks, url) == late.format(HOST)
    with pytest.raises(BadRequest) as caught:
        await webhooks.find("webhook", "https://other.example:8443/", "bob")
    assert caught.value.reason == late.format("other.example")
    assert webhooks._looking == {"ann"}


def test_the_machines_resolver():
    assert set(addresses_of("localhost", 443)) <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize(
    "text", ["", "https://a.example", "A.example", "a.example:0", "a.example:70000", "a b", "a."]
)
def test_what_is_no_host_is_named(text):
    with pytest.raises(
        BadHookHost, match=f"^--webhook-host {re.escape(ascii(text))}: it is not HOST or HOST:PORT"
    ):
        parse_hosts([text])


def test_the_operators_list():
    chosen = CoordinatorSettings(data_dir=Path("nowhere"), webhook_host=("a.example", "b.example:8443"))
    assert ApiOptions.of(chosen).webhooks == {("a.example", 443), ("b.example", 8443)}
    with pytest.raises(BadHookHost, match=f"there are more than {HOSTS_MAX} hosts$"):
        parse_hosts([f"a{number}.example" for number in range(HOSTS_MAX + 1)])


# A real server of TLS, on loopback, which counts as public here.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of HOST that signs itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = (
        builder.not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "host.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


class Server:
    """Answers each request with `answer`. :ivar requests: head and body of each."""

    def __init__(self, answer):
        self.answer, self.requests = answer, []

    async def serve(self, stream):
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive_some()
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
        while len(body) < length:
            body += await stream.receive_some()
        self.requests.append((head.decode(), body))
        if self.answer is None:
            await trio.sleep_forever()
        await stream.send_all(self.answer)


@pytest.fixture
async def called(nursery, certificate, monkeypatch):
    """Opens a server, and webhooks that reach it under HOST."""
    monkeypatch.setattr(webhooks_module, "is_public", lambda address: address == "127.0.0.1")

    async def opened(answer, *, trusted=True, addresses=("127.0.0.1",)):
        server, tls = Server(answer), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
        serve = partial(
            trio.serve_ssl_over_tcp, server.serve, 0, tls, host="127.0.0.1", https_compatible=True
        )
        listeners = await nursery.start(serve)
        port = listeners[0].transport_listener.socket.getsockname()[1]
        trust = ssl.create_default_context(cafile=certificate if trusted else None)
        webhooks, asked = knowing(list(addresses), ["192.0.2.1"], hosts=frozenset({(HOST, port)}), tls=trust)
        hook = await webhooks.find("webhook", f"https://{HOST}:{port}/hook?key=1", "ann")
        return server, webhooks, hook, asked

    yield opened
    nursery.cancel_scope.cancel()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def test_a_host_is_told_under_its_own_name(called):
    server, webhooks, hook, asked = await called(OK)
    assert await webhooks.tell(hook, lambda: {"seed": "7"}, "ann")
    ((head, body),) = server.requests
    assert head.startswith("POST /hook?key=1 HTTP/1.1\r\n")
    assert f"Host: {HOST}:{hook.port}\r\n" in head
    assert json.loads(body) == {"seed": "7"}
    assert (webhooks.status(), len(asked)) == (WebhookStatus(0, 1, 0, 0, 0), 1)


async def test_attack_a_name_that_leads_elsewhere_the_second_time(called):
    server, webhooks, hook, asked = await called(OK)
    assert [await webhooks.tell(hook, dict, "ann") for _ in range(2)] == [True, True]
    assert (len(asked), len(server.requests)) == (1, 2)


@pytest.mark.parametrize("status", [b"302 Found", b"307 Temporary Redirect", b"308 Permanent Redirect"])
async def test_attack_a_redirect_is_not_followed(called, status):
    server, webhooks, hook, _ = await called(b"")
    location = f"https://{HOST}:{hook.port}/elsewhere".encode()
    server.answer = b"HTTP/1.1 " + status + b"\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
    assert not await webhooks.tell(hook, dict, "ann")
    assert (len(server.requests), webhooks.status().failed) == (1, 1)


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 500 Oh\r\n\r\n", b"no HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000],
)
async def test_attack_answers_that_are_none(called, answer):
    _, webhooks, hook, _ = await called(answer)
    assert not await webhooks.tell(hook, dict, "ann")


async def test_attack_an_answer_without_end_is_not_read(called):
    _, webhooks, hook, _ = await called(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nx")
    with trio.fail_after(CALL_S_MAX):
        assert await webhooks.tell(hook, dict, "ann")


async def test_a_certificate_of_nobody_that_is_trusted_ends_the_call(called):
    server, webhooks, hook, _ = await called(OK, trusted=False)
    assert not await webhooks.tell(hook, dict, "ann")
    assert server.requests == []


@pytest.fixture
def slow(monkeypatch):
    """No host ever answers. :returns: the URLs that were called."""
    under_way = []

    class Slow:
        def __init__(self, **_):
            pass

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            pass

        def stream(self, _, url, **__):
            under_way.append(url)
            return Stream()

    class Stream:
        async def __aenter__(self):
            await trio.sleep_forever()

        async def __aexit__(self, *_):
            pass

    monkeypatch.setattr(webhooks_module.httpx2, "AsyncClient", Slow)
    return under_way


async def test_attack_a_slow_host_of_one_token_delays_nobody_elses_calls(slow, autojump_clock):
    webhooks = Webhooks(LISTED)
    async with trio.open_nursery() as nursery:
        for _ in range(WAITING_OF_TOKEN_MAX):
            nursery.start_soon(webhooks.tell, Hook(HOST, 443, "/slow", PUBLIC), dict, "ann")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert slow == [f"https://{PUBLIC}:443/slow"]
        for token in ("bob", "cy", "di"):
            nursery.start_soon(webhooks.tell, Hook(HOST, 443, f"/{token}", PUBLIC), dict, token)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert sorted(slow[1:]) == [f"https://{PUBLIC}:443/{token}" for token in ("bob", "cy", "di")]
        assert trio.current_time() < CALL_S_MAX
    assert trio.current_time() == pytest.approx(CALL_S_MAX * WAITING_OF_TOKEN_MAX, abs=1)
    assert (webhooks._waiting, webhooks._turns) == ({}, {})


async def test_attack_slow_hosts_are_left_and_calls_beyond_a_bound_dropped(slow, autojump_clock):
    webhooks, hook = Webhooks(LISTED), Hook(HOST, 443, "/", PUBLIC)
    tokens = WAITING_MAX // WAITING_OF_TOKEN_MAX + 1
    async with trio.open_nursery() as nursery:
        for token in range(tokens):
            for _ in range(WAITING_OF_TOKEN_MAX + 1):
                nursery.start_soon(webhooks.tell, hook, dict, str(token))
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert len(slow) == CALLS
        waiting = webhooks.status()
        dropped = tokens * (WAITING_OF_TOKEN_MAX + 1) - WAITING_MAX
        assert (waiting.waiting, waiting.dropped) == (WAITING_MAX, dropped)
    assert webhooks.status() == WebhookStatus(0, 0, WAITING_MAX, 0, dropped)
    # At the end fewer tokens than places may be left, each with some calls.
    least = CALL_S_MAX * WAITING_MAX / CALLS
    assert least - 1 < trio.current_time() < least + CALL_S_MAX * WAITING_OF_TOKEN_MAX


async def test_a_call_with_nothing_to_tell_any_more_is_dropped(slow):
    webhooks = Webhooks(LISTED)
    assert not await webhooks.tell(Hook(HOST, 443, "/", PUBLIC), lambda: None, "ann")
    assert (slow, webhooks.status()) == ([], WebhookStatus(0, 0, 0, 0, 1))


async def test_attack_one_token_does_not_take_all_room():
    webhooks = Webhooks(LISTED)
    webhooks._waiting["ann"] = WAITING_OF_TOKEN_MAX
    assert not await webhooks.tell(Hook(HOST, 443, "/", PUBLIC), dict, "ann")
    assert webhooks.status().dropped == 1

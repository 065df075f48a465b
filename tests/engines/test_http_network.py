"""Where the HTTP client connects to and whom it trusts, as the environment says."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from runner.engines.http import Headers, HttpClient, HttpConnectError, HttpResponse
from tests.http_server import HttpServer, Proxy, answers

HEADERS = Headers(["Authorization: Bearer secret-value"])


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_server(authority: trustme.CA) -> Iterator[HttpServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    with HttpServer({"/": answers(b"over TLS")}, tls=context) as server:
        yield server


def post(*urls: str) -> list[HttpResponse]:
    async def ask() -> list[HttpResponse]:
        async with HttpClient() as client:
            return [
                await client.request("POST", url, headers=HEADERS, body=b"{}", timeout=20) for url in urls
            ]

    return asyncio.run(ask())


def test_an_authority_of_the_environment_is_trusted(
    tls_server: HttpServer, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE names it, and connections are kept as they are without TLS."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    responses = post(*[tls_server.url("/")] * 3, tls_server.url("/", host="localhost"))

    assert [response.body for response in responses] == [b"over TLS"] * 4
    assert tls_server.connections == 2


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl names the files of such a folder")
def test_a_folder_of_authorities_is_trusted(
    tls_server: HttpServer, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_DIR names it."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    command = ["openssl", "x509", "-noout", "-hash", "-in", str(tmp_path / "ca.pem")]
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / "ca.pem").rename(tmp_path / f"{name}.0")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))

    assert post(tls_server.url("/"))[0].body == b"over TLS"


def test_an_unknown_authority_is_not_trusted(tls_server: HttpServer) -> None:
    """By default only those of certifi's bundle are; nothing was sent."""
    with pytest.raises(HttpConnectError, match=tls_server.url("/")):
        post(tls_server.url("/"))

    assert tls_server.received == []


def test_a_certificate_of_another_name_is_not_trusted(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if its authority is."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.example").configure_cert(context)

    with HttpServer({}, tls=context) as server, pytest.raises(HttpConnectError, match=r"127\.0\.0\.1"):
        post(server.url("/"))


def test_a_missing_bundle_is_an_error_that_names_it(
    tls_server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not a connection without checks."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")

    with pytest.raises(HttpConnectError, match=r"/nowhere/ca\.pem"):
        post(tls_server.url("/"))


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """http_proxy names it, and hosts in no_proxy are asked directly."""
    with HttpServer({"/": answers(b"far")}) as server, Proxy() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url(""))
        monkeypatch.setenv("no_proxy", "localhost")
        responses = post(server.url("/"), server.url("/", host="localhost"))

        assert [response.body for response in responses] == [b"far", b"far"]
        assert [request.target for request in proxy.received] == [server.url("/")]
        assert server.connections == 2


def test_a_client_without_proxies_asks_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment names: for servers on this machine."""

    async def ask(url: str) -> bytes:
        async with HttpClient(proxy=False) as client:
            whole = await client.request("POST", url, headers=HEADERS, timeout=20)
            async with client.stream("POST", url, headers=HEADERS, timeout=20) as pieces:
                return whole.body + b"".join([piece async for piece in pieces])

    with HttpServer({"/": answers(b"near")}) as server, Proxy() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url(""))

        assert asyncio.run(ask(server.url("/"))) == b"nearnear"
        assert proxy.received == []


def test_a_proxy_carries_tls_without_seeing_it(
    tls_server: HttpServer, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """https_proxy gets a CONNECT without our headers; its own answer's headers are not the server's."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with Proxy() as proxy:
        monkeypatch.setenv("https_proxy", proxy.url(""))
        responses = post(tls_server.url("/"), tls_server.url("/"))

        assert [request.method for request in proxy.received] == ["CONNECT"]
        assert "authorization" not in proxy.received[0].headers
        assert [(response.body, response.header("via")) for response in responses] == [
            (b"over TLS", None)
        ] * 2


def test_a_proxy_that_is_gone_is_an_error_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's URL may hold one."""
    monkeypatch.setenv("http_proxy", "http://me:secret-value@127.0.0.1:1")

    with pytest.raises(HttpConnectError, match=r"127\.0\.0\.1") as caught:
        post("http://example.invalid/")

    assert "secret-value" not in repr(caught.value)


def test_a_proxy_url_that_is_none_is_an_error_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of libcurl quotes it."""
    monkeypatch.setenv("http_proxy", "http://me:secret-value@127.0.0.1:port")

    with pytest.raises(HttpConnectError) as caught:
        post("http://example.invalid/")

    assert "secret-value" not in repr(caught.value)


def test_passwords_of_netrc_are_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets come from where the config says, and from nowhere else."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))

    async def ask(url: str) -> None:
        async with HttpClient() as client:
            await client.request("GET", url, headers=(), timeout=5)

    with HttpServer({"/": answers()}) as server:
        asyncio.run(ask(server.url("/")))

        assert "authorization" not in server.received[0].headers

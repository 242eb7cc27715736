"""Addresses and URLs: read as Go's net and net/url packages read them."""

import pytest

from gitsync.collector.rules.addresses import Refusal, Url, parse_url, split_host_port

ADDRESSES = [
    ("localhost:4317", ("localhost", "4317")),
    (":4317", ("", "4317")),
    ("[::1]:80", ("::1", "80")),
    ("[fe80::1%eth0]:http", ("fe80::1%eth0", "http")),
    ("host:", ("host", "")),
]
BAD_ADDRESSES = ["", "localhost", "::1:80", "[::1]", "[::1", "[::1]80", "[::1]:80:90", "a[b:80", "a]b:80", "[a[b]:80"]

URLS = [
    ("http://localhost:4318/v1", Url("http", "localhost:4318", "/v1")),
    ("HTTPS://user:pass@[::1]:80/a?b=c#d", Url("https", "[::1]:80", "/a", "b=c")),
    ("localhost:4318", Url("localhost", opaque="4318")),
    ("collector/path", Url(path="collector/path")),
    ("", Url()),
    ("http://", Url("http")),
    ("//host/path", Url("", "host", "/path")),
    ("mailto:a@b", Url("mailto", opaque="a@b")),
    ("http://h%25z/", Url("http", "h%25z", "/")),
]
BAD_URLS = [
    ":4318",
    "127.0.0.1:4318/v1",
    "http://host:port/",
    "http://[::1",
    "http://[::1]x/",
    "http://a b/",
    "http://a%zz/",
    "http://a%41/",
    "http://host/%zz",
    "http://us er@host/",
    "http://host/\x01",
    "a#%zz",
]


@pytest.mark.parametrize(("text", "expected"), ADDRESSES)
def test_an_address_is_split_into_host_and_port(text: str, expected: tuple[str, str]) -> None:
    assert split_host_port(text) == expected


@pytest.mark.parametrize("text", BAD_ADDRESSES)
def test_a_bad_address_is_refused(text: str) -> None:
    assert isinstance(split_host_port(text), Refusal)


@pytest.mark.parametrize(("text", "expected"), URLS)
def test_a_url_is_split_into_its_parts(text: str, expected: Url) -> None:
    assert parse_url(text) == expected


@pytest.mark.parametrize("text", BAD_URLS)
def test_a_bad_url_is_refused(text: str) -> None:
    assert isinstance(parse_url(text), Refusal)


def test_a_url_of_a_request_needs_a_scheme_or_a_leading_slash() -> None:
    assert isinstance(parse_url("", request=True), Refusal)
    assert isinstance(parse_url("collector/path", request=True), Refusal)
    assert parse_url("/path", request=True) == Url(path="/path")
    assert parse_url("http://host/#x", request=True) == Url("http", "host", "/#x")


@pytest.mark.parametrize(
    ("text", "hostname", "port"),
    [
        ("http://h:80/", "h", "80"),
        ("http://h/", "h", ""),
        ("http://[::1]:80/", "::1", "80"),
        ("http://[::1]/", "::1", ""),
    ],
)
def test_a_host_is_split_from_its_port(text: str, hostname: str, port: str) -> None:
    url = parse_url(text)
    assert isinstance(url, Url)
    assert (url.hostname, url.port) == (hostname, port)

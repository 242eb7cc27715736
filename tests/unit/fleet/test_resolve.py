"""Settings with their secrets filled in, or why there are none; never half of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trustme

from gitsync.fleet.resolve import MAX_BYTES, Incomplete, certificate_fault, resolve
from gitsync.opamp.connection import Certificate
from tests.support.connections import authority, certificate_secrets, stored_form

NOW = datetime.now(UTC)  # noqa: TID251 - the certificates of the tests are made now
SECURE = stored_form("""
opamp:
  endpoint: wss://g:4320/v1/opamp
  headers: {Authorization: "Bearer ${secret:token}"}
  certificate: {cert: "${secret:agent.crt}", key: "${secret:agent.key}", ca: "${secret:ca.crt}"}
ownLogs: {endpoint: "https://o/v1/logs"}
other: {db: {endpoint: "db:${secret:port}", settings: {pool: "3"}}}
""")
SECRETS = {"token": "abc", "port": "5432", **certificate_secrets()}


def test_all_settings_are_filled_in() -> None:
    found = resolve(SECURE, SECRETS, NOW)
    assert found.opamp is not None
    assert found.opamp.headers == (("Authorization", "Bearer abc"),)
    assert found.opamp.certificate is not None
    assert found.opamp.certificate.ca == authority().cert_pem.bytes()
    assert found.heartbeat_seconds == 30
    assert (found.own_metrics, found.own_traces) == (None, None)
    assert found.own_logs is not None
    assert found.own_logs.endpoint == "https://o/v1/logs"
    assert found.other["db"].endpoint == "db:5432"
    assert found.other["db"].settings == (("pool", "3"),)


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_one_missing_secret_is_enough_for_no_settings_at_all(name: str) -> None:
    left = {key: text for key, text in SECRETS.items() if key != name}
    with pytest.raises(Incomplete, match=f"the secret {name} is not there"):
        resolve(SECURE, left, NOW)


@pytest.mark.parametrize("token", ["a\nX-Other: b", "a\0b", "tab\there"])
def test_a_secret_cannot_make_a_second_header(token: str) -> None:
    with pytest.raises(Incomplete, match=r"opamp\.headers\.Authorization is empty, or has more than one line") as error:
        resolve(SECURE, {**SECRETS, "token": token}, NOW)
    assert token not in str(error.value)


def test_settings_are_not_larger_than_a_message_should_be() -> None:
    with pytest.raises(Incomplete, match=f"more than {MAX_BYTES}"):
        resolve(SECURE, {**SECRETS, "token": "x" * MAX_BYTES}, NOW)


def pem(**changes: str) -> Certificate:
    """The usual certificate with parts replaced."""
    texts = {"cert": SECRETS["agent.crt"], "key": SECRETS["agent.key"], "ca": SECRETS["ca.crt"], **changes}
    return Certificate(*(texts[name].encode() for name in ("cert", "key", "ca")))


def expired() -> tuple[str, str]:
    """A certificate that ended an hour ago, and its key."""
    made = authority().issue_cert("localhost", not_after=NOW - timedelta(hours=1))
    return made.cert_chain_pems[0].bytes().decode(), made.private_key_pem.bytes().decode()


EXPIRED = expired()
OTHER = trustme.CA().issue_cert("localhost").private_key_pem.bytes().decode()


@pytest.mark.parametrize(
    ("certificate", "now", "fault"),
    [
        (pem(), NOW, ""),
        (pem(key=OTHER), NOW, "key is not that of cert"),
        (pem(cert="x"), NOW, "cert or ca is no certificate in PEM"),
        (pem(ca=""), NOW, "cert or ca is no certificate in PEM"),
        (pem(key="x"), NOW, "key is no private key in PEM without a password"),
        (pem(key=SECRETS["agent.crt"]), NOW, "key is no private key in PEM without a password"),
        (pem(), datetime(1999, 1, 1, tzinfo=UTC), "cert is valid from"),
        (pem(cert=EXPIRED[0], key=EXPIRED[1]), NOW, "cert is valid from"),
    ],
)
def test_a_certificate_that_cannot_work_is_found(certificate: Certificate, now: datetime, fault: str) -> None:
    found = certificate_fault(certificate, now)
    assert found.startswith(fault)
    assert bool(found) is bool(fault)

"""`connection` of a target.yaml: what is kept of it, who inherits it, and what it does not change."""

from __future__ import annotations

import pytest

from gitsync.bundle.connection import fill_in, secret_names
from gitsync.bundle.version import TargetVersion
from tests.support.compiling import bundle_of, codes_of, compiled
from tests.support.configrepo import COLLECTOR_YAML
from tests.support.connections import stored_form

AGENTS = {"agents/c.yaml": COLLECTOR_YAML, "agents/env=prod/empty.yaml": "", "agents/env=prod/eu=yes/empty.yaml": ""}
METRICS = "connection: {ownMetrics: {endpoint: 'https://%s/v1/metrics'}}\n"
FULL = """
opamp:
  endpoint: wss://g.example.com:4320/v1/opamp
  heartbeat: 5m
  headers: {Authorization: "Bearer ${secret:token}"}
  certificate: {cert: "${secret:a.crt}", key: "${secret:a.key}", ca: "${secret:ca.crt}"}
other: {db: {endpoint: "${secret:db}", settings: {user: "${secret:user}"}}}
"""


def versions(**manifests: str) -> dict[str, TargetVersion]:
    """The versions of three targets in each other; manifests by the name of the last directory."""
    paths = {"agents": "agents", "prod": "agents/env=prod", "eu": "agents/env=prod/eu=yes"}
    manifests = {"agents": "", **manifests}
    files = {f"{paths[name]}/target.yaml": text for name, text in manifests.items()}
    files["agents/target.yaml"] = "selector: {}\n" + files["agents/target.yaml"]
    return dict(bundle_of({**AGENTS, **files}).versions)


def endpoints(**manifests: str) -> list[str | None]:
    """Host of the own metrics of the three targets, from the outermost."""
    found = [one.connection for _, one in sorted(versions(**manifests).items())]
    return [None if one is None else one["ownMetrics"]["endpoint"].split("/")[2] for one in found]


def test_settings_are_kept_in_one_form_with_secrets_as_names() -> None:
    assert stored_form(FULL) == {
        "opamp": {
            "endpoint": "wss://g.example.com:4320/v1/opamp",
            "headers": {"Authorization": "Bearer ${secret:token}"},
            "certificate": {"cert": "${secret:a.crt}", "key": "${secret:a.key}", "ca": "${secret:ca.crt}"},
            "heartbeat": 300,
        },
        "other": {
            "db": {
                "endpoint": "${secret:db}",
                "headers": {},
                "certificate": None,
                "settings": {"user": "${secret:user}"},
            }
        },
    }
    assert secret_names(stored_form(FULL)) == {"token", "a.crt", "a.key", "ca.crt", "db", "user"}


def test_the_heartbeat_is_thirty_seconds_unless_said_otherwise() -> None:
    assert stored_form("opamp: {endpoint: 'ws://localhost/'}")["opamp"]["heartbeat"] == 30


def test_the_nearest_settings_win_whole() -> None:
    assert endpoints() == [None, None, None]
    assert endpoints(agents=METRICS % "a") == ["a", "a", "a"]
    assert endpoints(agents=METRICS % "a", prod=METRICS % "b") == ["a", "b", "b"]
    assert endpoints(agents=METRICS % "a", prod="inherit: true\n") == ["a", "a", "a"]


def test_empty_settings_offer_nothing_whatever_stands_above() -> None:
    assert endpoints(agents=METRICS % "a", prod="connection: {}\n") == ["a", None, None]
    assert endpoints(agents=METRICS % "a", prod="connection: {}\n", eu=METRICS % "c") == ["a", None, "c"]


def test_settings_are_no_part_of_a_version_s_identity() -> None:
    without, some, others = versions(), versions(agents=METRICS % "a"), versions(agents=METRICS % "b")
    for path in without:
        assert without[path].digest == some[path].digest == others[path].digest


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("opamp: {endpoint: 'WSS://g', certificate: {cert: a, key: '${secret:k}', ca: c}}", []),
        ("opamp: {endpoint: 'ws://g:4320/v1/opamp'}", []),
        ("opamp: {endpoint: 'ws://[::1]:4320', headers: {A: '${secret:a}'}}", []),
        ("opamp: {endpoint: 'ws://g:99999'}", ["GS0701"]),
        ("opamp: {endpoint: 'ws://'}", ["GS0701"]),
        ("opamp: {endpoint: 'ws://ann:pw@g'}", ["GS0701"]),
        ("opamp: {endpoint: 'ws://g/${secret:a}'}", ["GS0701"]),
        ("opamp: {endpoint: 'ws://g/ x'}", ["GS0701"]),
        ("opamp: {endpoint: 'https://g'}", ["GS0702"]),
        ("opamp: {endpoint: 'wss://g', certificate: {cert: a, ca: b}}", ["GS0405"]),
        ("opamp: {}", ["GS0405"]),
        ("opamp: {endpoint: 'ws://g', heartbeat: 0s}", ["GS0404"]),
        ("opamp: {endpoint: 'ws://g', heartbeat: 30}", ["GS0403"]),
        ("opamp: {endpoint: 'ws://g', settings: {a: b}}", ["GS0402"]),
        ("ownMetrics: {endpoint: 'ws://g'}", ["GS0701"]),
        ("ownMetrics: {endpoint: 'https://o', headers: {A: '${env:HOME}'}}", ["GS0704"]),
        ("ownMetrics: {endpoint: 'https://o', headers: {A: '${secret:.hidden}'}}", ["GS0704"]),
        ("ownMetrics: {endpoint: 'https://o', headers: {A: '${secret:a'}}", ["GS0704"]),
        ('ownMetrics: {endpoint: "https://o", headers: {A: "b\\r\\nC: d"}}', ["GS0707"]),
        ("ownMetrics: {endpoint: 'https://o', headers: {A: b, a: c}}", ["GS0707"]),
        ("ownMetrics: {endpoint: 'https://o', headers: {X-Api-Key: abc}}", ["GS0703"]),
        ("ownMetrics: {endpoint: 'http://localhost:4318', headers: {A: '${secret:a}'}}", []),
        ("other: {db: {endpoint: 'anything at all'}}", []),
        ("other: {db: {endpoint: '${secret:a/b}'}}", ["GS0704"]),
        ("other: {db: {endpoint: x, settings: {a: '${env:HOME}'}}}", ["GS0704"]),
        ("others: {}", ["GS0402"]),
    ],
)
def test_what_may_stand_there(line: str, codes: list[str]) -> None:
    files = {"agents/c.yaml": COLLECTOR_YAML, "agents/target.yaml": f"selector: {{}}\nconnection:\n  {line}\n"}
    assert codes_of(compiled(files)) == codes


def test_secrets_are_filled_in_where_they_are_named() -> None:
    assert fill_in("a ${secret:x} ${secret:y}", {"x": "1", "y": "${secret:x}"}) == "a 1 ${secret:x}"
    with pytest.raises(KeyError):
        fill_in("${secret:x}", {})

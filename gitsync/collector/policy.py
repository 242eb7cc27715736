"""`Policy`: what one repository allows beyond what the Collector does, and how much warnings count.

Ids are `kind/type` with the newest name (`exporter/otlp_grpc`) or an old one; `*` stands for any characters. Endpoints
are hosts with or without a port (`*.example.com`, `10.0.0.*:4317`); a pattern without a port fits any.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from types import MappingProxyType

from gitsync.collector import node as tree
from gitsync.collector.expansion import providers_of
from gitsync.collector.findings import Findings
from gitsync.collector.node import Node, Origin, Scalar, Sequence
from gitsync.collector.pipelines import Wiring
from gitsync.collector.settings import is_known
from gitsync.diagnostics import Diagnostic, Severity
from gitsync.wording import quoted

AT_START = frozenset({"GS0280", "GS0281", "GS0282", "GS0284"})
"""Warnings about what the Collector's own `validate` accepts and what stops the Collector when it
starts. In a config repository they are errors: nothing that cannot start is published."""

LACKING = "GS0801"
"""Agents of a target report a build without a component that their configuration has."""
WARNINGS = (
    AT_START
    | {
        "GS0217",
        "GS0224",
        "GS0225",
        "GS0226",
        "GS0227",
        "GS0236",
        "GS0238",
        "GS0239",
        "GS0242",
        "GS0411",
        "GS0703",
        "GS0708",
    }
    | {"GS0283", "GS0286", "GS0287", "GS0288", "GS0301", "GS0411", "GS0703", "GS0708"}
    | {LACKING, "GS0913", "GS1101", "GS1102", "GS1103", "GS1104"}
    | {f"GS{number}" for number in range(1080, 1092)}
)
"""Codes of findings that are warnings by themselves: what a policy can make an error."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is allowed.

    Attributes:
        allow: ids of components; None: all.
        deny: ids that are not allowed even so.
        providers: schemes of `${scheme:…}`; None: all.
        endpoints: where exporters may send; None: anywhere.
        severity: by code, of findings that are warnings otherwise; None: they are not said.
    """

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()
    providers: frozenset[str] | None = None
    endpoints: tuple[str, ...] | None = None
    severity: Mapping[str, Severity | None] = field(default_factory=dict)

    def judge(self, found: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
        """The findings with the severities of this policy; an error never becomes a warning."""
        for one in found:
            wanted = self.severity.get(one.code, one.severity)
            if one.severity is Severity.ERROR or wanted is Severity.WARNING:
                yield one
            elif wanted is Severity.ERROR:
                yield replace(one, severity=Severity.ERROR)

    @property
    def restricts_components(self) -> bool:
        """Whether some components may not be used: only then are their names in other releases looked up."""
        return self.allow is not None or bool(self.deny)

    def allows(self, names: Iterable[str]) -> bool:
        """Whether a component may be used, by any of its names (`exporter/otlp_grpc`, `exporter/otlp`)."""
        return (self.allow is None or _any_fits(names, self.allow)) and not self.denies(names)

    def denies(self, names: Iterable[str]) -> bool:
        """Whether a component is forbidden, by any of its names."""
        return _any_fits(names, self.deny)


AS_THE_COLLECTOR = Policy()
"""The verdict of the Collector's own `validate`; for single files."""
BEFORE_PUBLISHING = Policy(severity=MappingProxyType(dict.fromkeys(AT_START, Severity.ERROR)))
"""For config repositories."""


def _any_fits(names: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, one) for one in patterns for name in names)


def check_component(policy: Policy, names: tuple[str, ...], shown: str, at: Origin, findings: Findings) -> None:
    """GS1106: a component that the policy does not allow.

    Args:
        names: every `kind/type` that it has, the newest first.
    """
    if policy.allows(names):
        return
    denied = policy.denies(names)
    allowed = ", ".join(policy.allow or ()) or "anything else"
    hint = f"policies.components.deny in gitsync.yaml names it; allowed: {allowed}" if denied else f"allowed: {allowed}"
    findings.error(at, "GS1106", f"{shown} is not allowed in this repository", hint)


def check_providers(policy: Policy, root: Node, findings: Findings) -> None:
    """GS1105: a provider (`${file:…}`) that the policy does not allow."""
    if policy.providers is None:
        return
    for scalar in _texts(root):
        for scheme in providers_of(scalar.text):
            if scheme not in policy.providers:
                allowed = ", ".join(sorted(policy.providers)) or "none"
                shown = quoted(scheme) if scheme else "that another reference names"
                message = f"the provider {shown} is not allowed in this repository"
                findings.error(scalar.origin, "GS1105", message, f"allowed: {allowed}")


def check_sections(policy: Policy, wiring: Wiring, root: tree.Mapping, findings: Findings) -> None:
    """GS1106, GS1107: a whole section that the agent fills in, where the policy says what may stand in it."""
    for section, components in wiring.sections.items():
        node = root.get(section)
        if components is not None or not isinstance(node, Scalar) or is_known(node):
            continue
        if policy.allow is not None or policy.deny:
            findings.error(node.origin, "GS1106", f"what {quoted(section)} contains is not known here", _WRITE_OUT)
        elif policy.endpoints is not None and section == "exporters":
            findings.error(node.origin, "GS1107", f"what {quoted(section)} contains is not known here", _WRITE_OUT)


def check_telemetry(policy: Policy, telemetry: tree.Mapping, findings: Findings) -> None:
    """GS1107: the Collector would send what it says about itself to a host that the policy does not allow."""
    for signal in ("traces", "metrics", "logs"):
        settings = telemetry.get(signal)
        if isinstance(settings, Scalar):
            check_endpoints(policy, settings, findings)
        for key in ("processors", "readers"):
            node = settings.get(key) if isinstance(settings, tree.Mapping) else None
            if node is not None:
                check_endpoints(policy, node, findings)


def check_endpoints(policy: Policy, exporter: Node, findings: Findings) -> None:
    """GS1107: an exporter would send to a host that the policy does not allow."""
    if policy.endpoints is None:
        return
    if isinstance(exporter, Scalar) and not is_known(exporter):
        findings.error(exporter.origin, "GS1107", "the settings of an exporter are not known here", _WRITE_OUT)
    for scalar in _endpoints(exporter):
        if not is_known(scalar):
            findings.error(scalar.origin, "GS1107", "this endpoint is not known here", _WRITE_OUT)
        elif scalar.text and not _fits(scalar.text, policy.endpoints):
            hint = f"allowed: {', '.join(policy.endpoints) or 'none'}"
            message = f"sending to {quoted(scalar.text.partition('?')[0])} is not allowed in this repository"
            findings.error(scalar.origin, "GS1107", message, hint)


_WRITE_OUT = "the agent fills it in, so it cannot be checked; write it out"
_SENDS = frozenset(
    {"endpoint", "endpoints", "brokers", "hostnames", "address", "url", "hosts"}
    | {"proxy_url", "ingest_url", "api_url", "dsn", "resolver"}
)
_SENDS_BELOW = frozenset({("dns", "hostname"), ("api", "site")})
"""Keys that say where data goes inside of one other only: elsewhere `hostname` is the agent's own."""
_RESOLVERS = frozenset({"dns", "passthrough", "xds"})
"""Schemes of gRPC targets: behind "//" stands who is asked for the address, behind the next "/" the host."""


def _endpoints(node: Node) -> Iterator[Scalar]:
    """Texts below keys that say where data goes."""
    waiting: list[tuple[Node, str, bool]] = [(node, "", False)]
    while waiting:
        here, above, sends = waiting.pop()
        if isinstance(here, Scalar):
            if sends and here.tag == "str":
                yield here
        elif isinstance(here, Sequence):
            waiting.extend((one, above, sends) for one in reversed(here.items))
        else:
            for entry in reversed(here.entries):
                key = entry.key
                named = key in _SENDS or key.endswith("_endpoint") or (above, key) in _SENDS_BELOW
                waiting.append((entry.value, key, named and not isinstance(entry.value, tree.Mapping)))


def _fits(endpoint: str, patterns: Iterable[str]) -> bool:
    """Whether every host of an endpoint is allowed: to the Collector a text `a, b` is a list too."""
    known = [one.lower() for one in patterns]
    return all(
        any(fnmatchcase(authority if _has_port(one) else _host(authority), one) for one in known)
        for part in endpoint.split(",")
        for authority in _authorities(part.strip())
    )


def _authorities(endpoint: str) -> Iterator[str]:
    """Hosts with their ports, in lower case; of a gRPC target also who is asked for its address."""
    scheme, colon, rest = endpoint.lower().partition(":")
    place = rest.removeprefix("//") if rest.startswith("//") else endpoint.lower()
    if colon and scheme in _RESOLVERS:
        server, _, place = rest.removeprefix("//").partition("/") if rest.startswith("//") else ("", "", rest)
        if server:
            yield server
    yield _END.split(place, maxsplit=1)[0].rpartition("@")[2]


_END = re.compile(r"[/?#\\]")
"""What ends the part of a URL that says where."""


def _host(authority: str) -> str:
    host, _, port = authority.rpartition(":")
    return host if port.isdigit() else authority


def _has_port(pattern: str) -> bool:
    last = pattern.rpartition(":")[2]
    return ":" in pattern and (last.isdigit() or last == "*") and not pattern.endswith("]")


def _texts(root: Node) -> Iterator[Scalar]:
    waiting = [root]
    while waiting:
        here = waiting.pop()
        if isinstance(here, Scalar):
            if here.tag == "str" and "${" in here.text:
                yield here
        elif isinstance(here, Sequence):
            waiting.extend(reversed(here.items))
        else:
            waiting.extend(entry.value for entry in reversed(here.entries))

"""The cases of the corpus, as whole configuration files and single texts.

A file in `corpus/configs` is a list. An entry is one case (`name`, and `config` or `configs`: the text of the files
that are merged), or a table of bodies of one component, which are set into a small configuration that is right:

    - processor: batch
      signals: [traces, logs]
      bodies:
        a negative timeout: '{timeout: -1s}'

`env` sets variables, `oracle: none` says that no Collector could be built that has the component; `valid` then says
what is expected. A file in `corpus/statements` is a list of groups: a kind, a context (by default the name of the
file), and texts, either a list or one text per line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
KINDS = ("receiver", "processor", "exporter", "connector", "extension")
PAIR = 2


@dataclass(frozen=True, slots=True)
class ConfigCase:
    """One configuration: the texts of its files, in the order in which they are merged."""

    id: str
    files: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    #: Where the component under test stands, for mutations; empty: anywhere.
    focus: tuple[str, ...] = ()
    #: None: the oracle knows. A bool: what is expected where no oracle can be had.
    expected: bool | None = None

    @property
    def group(self) -> str:
        """What the page counts it under: the file of the corpus, which is mostly named like a component."""
        parts = self.id.split("/")
        return parts[2] if parts[0] == "mutated" else parts[1]

    def request(self) -> dict[str, Any]:
        """The line that asks the oracle."""
        return {"id": self.id, "configs": list(self.files), "env": dict(self.env)}

    def digest(self) -> str:
        """Changes when the case does, so that a stale verdict is seen."""
        return _digest(*self.files, *(f"{name}={value}" for name, value in sorted(self.env.items())))


@dataclass(frozen=True, slots=True)
class TextCase:
    """One statement, condition or value expression of OTTL; its paths carry their context."""

    id: str
    context: str
    kind: str
    text: str
    expected: bool | None = None

    @property
    def group(self) -> str:
        """What the page counts it under."""
        return f"{self.context} {self.kind}s" + (" (mutated)" if self.id.startswith("mutated/") else "")

    def request(self) -> dict[str, Any]:
        """The line that asks the oracle."""
        return {"id": self.id, "context": self.context, "kind": self.kind, "text": self.text}

    def digest(self) -> str:
        """Changes when the case does."""
        return _digest(self.context, self.kind, self.text)


Case = ConfigCase | TextCase


@cache
def hand_written_configs() -> tuple[ConfigCase, ...]:
    """All cases of `corpus/configs`, in the order of the files."""
    return _unique(case for file in sorted((CORPUS / "configs").glob("*.yaml")) for case in _config_cases(file))


@cache
def hand_written_texts() -> tuple[TextCase, ...]:
    """All cases of `corpus/statements`; a text that stands in several groups counts once."""
    found: dict[str, TextCase] = {}
    for file in sorted((CORPUS / "statements").glob("*.yaml")):
        for group in read_yaml(file.read_text()):
            texts = group["texts"]
            lines = texts.splitlines() if isinstance(texts, str) else texts
            for text in lines:
                case = text_case("statements", group.get("context", file.stem), group["kind"], text)
                found.setdefault(case.id, case)
    return tuple(found.values())


def text_case(origin: str, context: str, kind: str, text: str) -> TextCase:
    """A case named by its content."""
    return TextCase(f"{origin}/{context}/{kind}/{_digest(context, kind, text)}", context, kind, text)


def read_yaml(text: str) -> Any:
    """The corpus is our own text, and short: no guard is needed against what it may hold."""
    return yaml.safe_load(text)  # noqa: TID251


def _config_cases(file: Path) -> Iterator[ConfigCase]:
    for entry in read_yaml(file.read_text()):
        kind = next((kind for kind in KINDS if kind in entry), None)
        expected = bool(entry.get("valid", True)) if entry.get("oracle") == "none" else None
        env = {name: str(value) for name, value in entry.get("env", {}).items()}
        if kind is None:
            files = tuple(entry["configs"]) if "configs" in entry else (entry["config"],)
            yield ConfigCase(f"configs/{file.stem}/{_slug(entry['name'])}", files, env, (), expected)
            continue
        component = entry[kind]
        for name, body in entry["bodies"].items():
            text = _whole(kind, component, body or "", entry)
            focus = (f"{kind}s", component)
            yield ConfigCase(f"configs/{file.stem}/{_slug(component)}/{_slug(name)}", (text,), env, focus, expected)


def _whole(kind: str, component: str, body: str, entry: Mapping[str, Any]) -> str:
    """A configuration that is right but for what stands in the body."""
    inline = body if body.startswith(("{", "[", "&")) or "\n" not in body.strip() else ""
    block = "" if inline else "".join(f"    {line}\n" for line in body.splitlines())
    parts = {
        "receivers": "  otlp: {protocols: {grpc: {}}}\n" if component != "otlp" or kind != "receiver" else "",
        "exporters": "  debug/sink: {}\n",
    }
    parts[f"{kind}s"] = parts.get(f"{kind}s", "") + f"  {component}: {inline}\n{block}"
    text = entry.get("extra", "") + "".join(f"{section}:\n{items}" for section, items in parts.items() if items)
    return text + _service(kind, component, entry)


def _service(kind: str, component: str, entry: Mapping[str, Any]) -> str:
    lines = ["service:"]
    also = entry.get("extensions", [])
    if kind == "extension" or also:
        lines.append(f"  extensions: [{', '.join([*also, component] if kind == 'extension' else also)}]")
    lines.append("  pipelines:")
    if kind == "connector":
        for number, (source, target) in enumerate(entry["pairs"]):
            lines.append(f"    {source}/in{number}: {{receivers: [otlp], exporters: [{component}]}}")
            lines.append(f"    {target}/out{number}: {{receivers: [{component}], exporters: [debug/sink]}}")
        return "\n".join(lines) + "\n"
    receiver = component if kind == "receiver" else "otlp"
    exporter = component if kind == "exporter" else "debug/sink"
    between = f" processors: [{component}]," if kind == "processor" else ""
    for signal in entry.get("signals", ["traces"]):
        lines.append(f"    {signal}: {{receivers: [{receiver}],{between} exporters: [{exporter}]}}")
    return "\n".join(lines) + "\n"


def _unique(cases: Iterator[ConfigCase]) -> tuple[ConfigCase, ...]:
    found: dict[str, ConfigCase] = {}
    for case in cases:
        name, number = case.id, 1
        while name in found:  # "true" and "TRUE", say
            number += 1
            name = f"{case.id}-{number}"
        found[name] = replace(case, id=name)
    return tuple(found.values())


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:10]

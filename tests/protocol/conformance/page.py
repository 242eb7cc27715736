"""The page about conformance, made of the rules and the cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.protocol.conformance.table import AGENT_CASES, ALL_CASES, CASES, CHAPTERS, RULES, cases_of
from tests.support.conformance import Case, Rule, Via

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "opamp-conformance.md"
COMMAND = "python -m tests.protocol.conformance"
HEAD = f"""\
<!-- Written by `{COMMAND}`; do not edit. -->
# OpAMP conformance

What the OpAMP specification (0.20) asks of a server, and of the agents that `gitsync lab` simulates, and which tests
show that it is kept. The words are ours, the numbers are those of our checklist. Every case of the server is a
conversation with the whole server: real sockets, a real store, over WebSocket (WS) and plain HTTP alike unless a rule
is about one of them. Every case was seen to fail where the rules are broken on purpose.

- *holds*: the cases named beside it pass. *in part*, *not yet*: with the reason.
- ★ marks where this server does more than the reference server (opamp-go 0.24), with what that is.
- Cases are in `tests/protocol/conformance/`; tests elsewhere are named by their file.
"""


def render() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_summary(), *(line for title, rules in CHAPTERS for line in _chapter(title, rules))])


def _summary() -> Iterator[str]:
    counts = {word: sum(_state(rule) == word for rule in RULES) for word in ("holds", "in part", "not yet", "missing")}
    yield "| | |"
    yield "|---|--:|"
    yield f"| rules | {len(RULES)} |"
    for word, count in counts.items():
        if count:
            yield f"| {word} | {count} |"
    yield f"| ★ | {sum(bool(rule.beyond) for rule in RULES)} |"
    yield f"| cases, of the server and of agents | {len(CASES)} + {len(AGENT_CASES)} |"
    runs = sum(len(one.over) for one in ALL_CASES)
    yield f"| runs over a transport | {runs} |"
    yield ""


def _chapter(title: str, rules: tuple[Rule, ...]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield "| rule | force | what it says | over | shown by | status |"
    yield "|---|---|---|---|---|---|"
    for rule in rules:
        says = f"{rule.text} *({rule.section})*" + (f"<br>★ {rule.beyond}" if rule.beyond else "")
        shown = "<br>".join([*(f"• {one.name}" for one in cases_of(rule)), *map(_elsewhere, rule.elsewhere)])
        row = (rule.number, rule.force, says, _over(rule), shown, _status(rule))
        yield "| " + " | ".join(_cell(one) for one in row) + " |"
    yield ""


def _over(rule: Rule) -> str:
    over = {via for one in cases_of(rule) for via in one.over}
    names = {Via.WEBSOCKET: "WS", Via.HTTP: "HTTP"}
    return ", ".join(name for via, name in names.items() if via in over)


def _state(rule: Rule) -> str:
    if any(isinstance(one, Case) and one.missing for one in cases_of(rule)):
        return "missing"
    return "not yet" if rule.not_yet else "in part" if rule.in_part else "holds"


def _status(rule: Rule) -> str:
    missing = sorted({one.missing for one in cases_of(rule) if isinstance(one, Case) and one.missing})
    reason = "; ".join(missing) or rule.not_yet or rule.in_part
    return f"{_state(rule)}: {reason}" if reason else _state(rule)


def _elsewhere(test: str) -> str:
    path, _, name = test.partition("::")
    return f"• `{path}`: {name.removeprefix('test_').replace('_', ' ')}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")

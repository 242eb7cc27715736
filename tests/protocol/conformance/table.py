"""The rules and the cases together."""

from __future__ import annotations

from collections.abc import Sequence

from tests.protocol.conformance import (
    cases_agent,
    cases_connection,
    cases_exchange,
    cases_lifecycle,
    cases_offers,
    cases_transport,
)
from tests.protocol.conformance.rules_agent import AGENT
from tests.protocol.conformance.rules_server import SERVER
from tests.support.conformance import Case, Rule
from tests.support.conformance_agent import AgentCase

CHAPTERS: tuple[tuple[str, tuple[Rule, ...]], ...] = (*SERVER, ("Agents", AGENT))
"""Title and rules, in the order of their numbers; the last one is about agents."""
RULES: tuple[Rule, ...] = tuple(rule for _, rules in CHAPTERS for rule in rules)
CASES: tuple[Case, ...] = (
    *cases_transport.CASES,
    *cases_exchange.CASES,
    *cases_offers.CASES,
    *cases_lifecycle.CASES,
    *cases_connection.CASES,
)
AGENT_CASES: tuple[AgentCase, ...] = cases_agent.CASES
ALL_CASES: tuple[Case | AgentCase, ...] = CASES + AGENT_CASES


def cases_of(rule: Rule) -> Sequence[Case | AgentCase]:
    """The cases that show a rule."""
    return [one for one in ALL_CASES if rule.number in one.rules]

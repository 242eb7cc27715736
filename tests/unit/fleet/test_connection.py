"""Who is offered which connection settings, and what became of it: as tables."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.fleet.agent import Agent
from gitsync.fleet.connection import (
    AgentConnection,
    OfferState,
    Ramp,
    SectionOffer,
    back,
    due,
    is_back,
    is_doubtful,
    lost,
    offered,
    reported,
    restarted,
)
from gitsync.fleet.observe import ConnectionChanged, observe
from gitsync.opamp.connection import OPAMP, TELEMETRY, Offerable, Section
from gitsync.opamp.messages import (
    Capability,
    ComponentHealth,
    ConfigStatus,
    ConnectionStatusReported,
    HealthReported,
)
from tests.support.builders import NOW, a_uid, later


def an_offer(opamp: str = "", telemetry: str = "", *, heartbeat: int = 45) -> Offerable:
    """What an agent can be offered; texts stand for contents."""
    contents = {name: text for name, text in ((OPAMP, opamp), (TELEMETRY, telemetry)) if text}
    sections = {name: Section(text.encode(), b"") for name, text in contents.items()}
    return Offerable(f"{opamp}/{telemetry}".encode(), sections, heartbeat)


def known(offer: Offerable, state: OfferState = OfferState.OFFERED, **changes: object) -> AgentConnection:
    """An agent that was offered all of it, on its first connection."""
    made = offered(None, offer, offer.sections, epoch=1, at=NOW)
    sections = {name: SectionOffer(one.digest, state) for name, one in offer.sections.items()}
    return replace(made, sections=sections, **changes)  # type: ignore[arg-type]


A, B = an_offer("a", "t"), an_offer("b", "t")
OTHER = {"reports_other": True}


@pytest.mark.parametrize(
    ("before", "offer", "expected"),
    [
        (None, A, {OPAMP, TELEMETRY}),
        (None, an_offer(), set()),
        (known(A, OfferState.OFFERED), A, set()),
        (known(A, OfferState.OFFERED), B, set()),
        (known(A, OfferState.REPORTED), B, set()),
        (known(A, OfferState.DONE), A, set()),
        (known(A, OfferState.DONE), B, {OPAMP}),
        (known(A, OfferState.DONE), an_offer("a", "u"), {TELEMETRY}),
        (known(A, OfferState.DONE), an_offer("a"), set()),
        (known(an_offer("a"), OfferState.DONE), A, {TELEMETRY}),
        (known(A, OfferState.FAILED), A, set()),
        (known(A, OfferState.FAILED), B, {OPAMP}),
        (known(A, OfferState.LOST), A, set()),
        (known(A, OfferState.LOST), B, {OPAMP}),
        (known(A, OfferState.DONE, **OTHER), A, {OPAMP, TELEMETRY}),
        (known(A, OfferState.DONE, **OTHER, repeated=True), A, set()),
        (known(A, OfferState.LOST, **OTHER), A, set()),
        (known(A, OfferState.OFFERED, **OTHER), A, set()),
        (known(an_offer("", "t"), OfferState.OFFERED, **OTHER), an_offer("", "t"), {TELEMETRY}),
    ],
)
def test_what_an_agent_is_due(before: AgentConnection | None, offer: Offerable, expected: set[str]) -> None:
    assert set(due(before, offer, reports_status=True)) == expected


def test_an_agent_that_does_not_report_on_settings_is_never_offered_the_same_again() -> None:
    assert due(known(A, OfferState.DONE, **OTHER), A, reports_status=False) == ()


@given(st.lists(st.sampled_from(["a", "b"]), max_size=8), st.booleans())
def test_an_agent_is_never_due_what_it_was_offered_last(texts: list[str], reports_status: bool) -> None:
    state: AgentConnection | None = None
    for number, text in enumerate(texts, 2):
        offer = an_offer(text)
        names = due(state, offer, reports_status=reports_status)
        if names:
            state = back(offered(state, offer, names, epoch=number, at=NOW), epoch=number, at=NOW)
        assert due(state, offer, reports_status=reports_status) == ()


def test_an_offer_keeps_what_was_offered_before_in_other_sections() -> None:
    after = offered(
        known(A, OfferState.DONE, heartbeat_seconds=45), an_offer("a", "u"), [TELEMETRY], epoch=9, at=later(1)
    )
    assert after.sections == {
        OPAMP: SectionOffer(b"a", OfferState.DONE),
        TELEMETRY: SectionOffer(b"u", OfferState.OFFERED),
    }
    assert (after.epoch, after.promised_seconds, after.heartbeat_seconds) == (1, 0, 45)
    assert not after.repeated
    assert not after.awaits_return


def test_the_same_sections_again_are_a_repetition() -> None:
    assert offered(known(A, OfferState.DONE), A, [OPAMP], epoch=2, at=NOW).repeated


@pytest.mark.parametrize(
    ("status", "opamp", "telemetry"),
    [
        (ConfigStatus.APPLIED, OfferState.REPORTED, OfferState.DONE),
        (ConfigStatus.FAILED, OfferState.FAILED, OfferState.FAILED),
        (ConfigStatus.APPLYING, OfferState.OFFERED, OfferState.OFFERED),
        (ConfigStatus.UNSET, OfferState.OFFERED, OfferState.OFFERED),
    ],
)
def test_what_an_agent_reports_is_a_claim_for_opamp_and_the_end_for_the_rest(
    status: ConfigStatus, opamp: OfferState, telemetry: OfferState
) -> None:
    after = reported(known(A), ConnectionStatusReported(A.hash, status, "no route"), later(1))
    assert after.sections[OPAMP].state is opamp
    assert after.sections[TELEMETRY].state is telemetry
    assert after.error == ("no route" if status is ConfigStatus.FAILED else "")


def test_a_failure_that_is_reported_after_the_proof_changes_nothing() -> None:
    after = reported(known(A, OfferState.DONE), ConnectionStatusReported(A.hash, ConfigStatus.FAILED), later(1))
    assert after.state is OfferState.DONE


def test_a_status_for_other_settings_is_booked_on_nothing() -> None:
    after = reported(known(A), ConnectionStatusReported(b"x", ConfigStatus.APPLIED), later(1))
    assert after.sections == known(A).sections
    assert after.reports_other
    assert not reported(after, ConnectionStatusReported(A.hash, ConfigStatus.APPLIED), later(2)).reports_other
    assert not reported(known(A), ConnectionStatusReported(b"x", ConfigStatus.FAILED), later(1)).reports_other


@pytest.mark.parametrize(
    ("state", "epoch", "has_started_over", "polled", "expected"),
    [
        (OfferState.OFFERED, 2, True, False, True),
        (OfferState.REPORTED, 2, True, False, True),
        (OfferState.OFFERED, 2, False, False, False),
        (OfferState.REPORTED, 2, False, False, False),
        (OfferState.OFFERED, 1, True, False, False),
        (OfferState.OFFERED, 1, True, True, True),
        (OfferState.OFFERED, 2, False, True, False),
        (OfferState.REPORTED, 1, False, True, True),
        (OfferState.DONE, 2, True, False, False),
        (OfferState.LOST, 2, True, True, False),
    ],
)
def test_what_proves_that_an_agent_connects_as_it_was_told(
    state: OfferState, epoch: int, has_started_over: bool, polled: bool, expected: bool
) -> None:
    found = is_back(known(A, state), epoch=epoch, has_started_over=has_started_over, polled=polled)
    assert found is expected


def test_the_heartbeat_is_in_force_from_the_return_to_the_next_start_of_the_agent() -> None:
    away = known(A)
    assert away.heartbeat_seconds == 0
    done = back(away, epoch=2, at=later(1))
    assert (done.heartbeat_seconds, done.epoch, done.changed_at) == (45, 2, later(1))
    assert done.sections[OPAMP].state is OfferState.DONE
    assert restarted(done, epoch=3).heartbeat_seconds == 0
    assert restarted(done, epoch=3).sections == done.sections


@pytest.mark.parametrize(
    ("states", "expected", "flag"),
    [
        ((OfferState.DONE, OfferState.DONE), OfferState.DONE, None),
        ((OfferState.DONE, OfferState.OFFERED), OfferState.OFFERED, None),
        ((OfferState.REPORTED, OfferState.DONE), OfferState.REPORTED, None),
        ((OfferState.DONE, OfferState.FAILED), OfferState.FAILED, "connection-failed"),
        ((OfferState.LOST, OfferState.FAILED), OfferState.LOST, "connection-lost"),
    ],
)
def test_people_see_the_section_that_they_should_know_of_first(
    states: tuple[OfferState, OfferState], expected: OfferState, flag: str | None
) -> None:
    sections = dict(zip((OPAMP, TELEMETRY), (SectionOffer(b"", one) for one in states), strict=True))
    one = replace(known(A), sections=sections)
    assert (one.state, one.flag) == (expected, flag)


@pytest.mark.parametrize(
    ("ramp", "free"),
    [
        (Ramp(), 1),
        (Ramp(waiting=1), 0),
        (Ramp(done=1), 1),
        (Ramp(waiting=1, done=1), 0),
        (Ramp(done=4), 4),
        (Ramp(waiting=3, done=4), 1),
        (Ramp(waiting=9, done=4), 0),
        (Ramp(done=100, bad=1), 0),
    ],
)
def test_how_many_more_agents_may_be_told_to_move(ramp: Ramp, free: int) -> None:
    assert ramp.free == free
    assert ramp.stopped is (ramp.bad > 0)


# ── In what is known of an agent ────────────────────────────────────────────────────────────────────────────

BARE = ComponentHealth(healthy=False)
SUPERVISED = Agent(a_uid(), capabilities=int(Capability.REPORTS_HEALTH), health=ComponentHealth(healthy=True))


def test_a_bare_unhealthy_counts_only_until_the_agent_was_told_to_move_and_after_it_said_something_real() -> None:
    assert observe(SUPERVISED, HealthReported(BARE), NOW).healthy is False
    moving = observe(SUPERVISED, ConnectionChanged(known(A)), NOW)
    assert observe(moving, HealthReported(BARE), NOW) == moving
    real = observe(moving, HealthReported(ComponentHealth(healthy=False, last_error="exit code 1")), NOW)
    assert real.healthy is False
    well = observe(moving, HealthReported(ComponentHealth(healthy=True)), NOW)
    assert observe(well, HealthReported(BARE), NOW).healthy is False


def test_health_is_not_doubted_for_own_telemetry_or_after_a_failure() -> None:
    telemetry = an_offer("", "t")
    assert not is_doubtful(offered(None, telemetry, [TELEMETRY], epoch=1, at=NOW), BARE)
    failed = reported(known(A), ConnectionStatusReported(A.hash, ConfigStatus.FAILED), NOW)
    assert not is_doubtful(failed, BARE)
    assert not is_doubtful(None, BARE)


def test_an_agent_that_is_lost_is_flagged_unless_its_configuration_is() -> None:
    gone = ConnectionChanged(lost(known(A), NOW))
    assert observe(SUPERVISED, gone, NOW).flag == "connection-lost"
    assert observe(replace(SUPERVISED, flag="stuck"), gone, NOW).flag == "stuck"
    flagged = observe(SUPERVISED, gone, NOW)
    assert observe(flagged, ConnectionChanged(known(B)), NOW).flag is None


def test_a_status_of_an_agent_that_was_offered_nothing_is_nothing() -> None:
    status = ConnectionStatusReported(b"x", ConfigStatus.APPLIED)
    assert observe(SUPERVISED, status, NOW) is SUPERVISED

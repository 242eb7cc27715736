"""Which agents the lab simulates: the same ones for the same seed, each kind when there is room."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.cli.lab import read_faults
from gitsync.errors import SettingsError
from gitsync.lab.profile import LABEL_SETS, Fault, Transport, make_profiles
from gitsync.opamp.messages import Capability


def test_the_same_seed_makes_the_same_agents() -> None:
    assert make_profiles(50, seed=7) == make_profiles(50, seed=7)
    assert make_profiles(50, seed=7) != make_profiles(50, seed=8)


@given(st.integers(0, 300), st.integers())
def test_every_agent_has_an_identity_of_its_own(count: int, seed: int) -> None:
    profiles = make_profiles(count, seed=seed)

    assert len({one.uid for one in profiles}) == len({one.name for one in profiles}) == count
    assert all(one.uid[6] >> 4 == 7 and one.uid[8] >> 6 == 2 for one in profiles)


def test_each_kind_is_there_when_there_is_room() -> None:
    kinds = {(one.service, tuple(sorted(one.labels.items()))) for one in make_profiles(len(LABEL_SETS))}

    assert len(kinds) == len(LABEL_SETS)


@given(st.integers(0, 300), st.floats(0, 1))
def test_the_share_of_polling_agents_is_what_was_asked_for(count: int, share: float) -> None:
    polling = [one.transport is Transport.HTTP for one in make_profiles(count, http_share=share)]

    assert abs(sum(polling) - count * share) < 1.001
    assert abs(sum(polling[: count // 2]) - count // 2 * share) < 1.001


def test_faults_are_counted_out_to_agents_that_most_commits_change() -> None:
    profiles = make_profiles(20, faults={Fault.SLOW: 2, Fault.FAILS: 1})

    assert Counter(one.fault for one in profiles) == {Fault.NONE: 17, Fault.SLOW: 2, Fault.FAILS: 1}
    assert all(one.labels["role"] == "agent" for one in profiles if one.fault is not Fault.NONE)


def test_all_agents_may_have_a_fault() -> None:
    assert {one.fault for one in make_profiles(9, faults={Fault.FLAPS: 9})} == {Fault.FLAPS}


def test_more_faults_than_agents_are_refused() -> None:
    with pytest.raises(ValueError, match="3 faults for 2 agents"):
        make_profiles(2, faults={Fault.SLOW: 3})


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_what_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="a share is from 0 to 1"):
        make_profiles(2, http_share=share)


def test_a_read_only_agent_does_not_accept_configurations() -> None:
    for one in make_profiles(12, faults={Fault.READ_ONLY: 3}):
        accepts = bool(one.capabilities & Capability.ACCEPTS_REMOTE_CONFIG)
        assert accepts == (one.fault is not Fault.READ_ONLY)


def test_an_sdk_reports_less_than_a_collector() -> None:
    by_service = {one.service: one.capabilities for one in make_profiles(12)}

    assert by_service["otelcol-agent"] & Capability.REPORTS_HEALTH
    assert not by_service["checkout"] & Capability.REPORTS_HEALTH


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", {}),
        ("slow=2,fails=1", {Fault.SLOW: 2, Fault.FAILS: 1}),
        (" read-only=1, slow=1,slow=2,", {Fault.READ_ONLY: 1, Fault.SLOW: 3}),
    ],
)
def test_faults_are_written_as_kind_and_number(text: str, faults: dict[Fault, int]) -> None:
    assert read_faults(text) == faults


@pytest.mark.parametrize("text", ["slow", "slow=", "slow=-1", "slow=x", "none=1", "sloww=1", "\x1b[31m=1"])
def test_what_is_no_fault_names_those_that_there_are(text: str) -> None:
    with pytest.raises(SettingsError, match="slow, fails, silent, flaps, read-only, degraded") as caught:
        read_faults(text)
    assert "\x1b" not in str(caught.value)

"""Settings of the versions in effect: filled in off the path of messages, and kept while nothing changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from gitsync.control.destinations import Destinations, NoSecrets, Plan
from gitsync.control.published import Published
from gitsync.fleet.assign import Assignment, Kind, Reason
from gitsync.ids import DEFAULT_SOURCE, TargetId
from gitsync.opamp.connection import OPAMP, TELEMETRY
from gitsync.opamp.messages import Capability
from tests.support.builders import a_desired, a_version
from tests.support.clock import ManualClock
from tests.support.connections import LOGS, MOVE, MOVE_AGAIN, KnownSecrets, connecting

TARGET = TargetId(DEFAULT_SOURCE, "agents")
KEYED = 'ownMetrics: {endpoint: "https://o/v1", headers: {A: "${secret:key}"}}'


def publish(destinations: Destinations, *texts: str) -> None:
    version = connecting(*texts) if texts else a_version()
    destinations.set_published(Published(a_desired(version)))


def plan(destinations: Destinations) -> Plan:
    (one,) = destinations.of_target(TARGET)
    return one


async def test_nothing_can_be_offered_before_the_secrets_were_read() -> None:
    destinations = Destinations(KnownSecrets(key="abc"), ManualClock())
    assert not destinations
    publish(destinations, KEYED)
    assert destinations
    assert destinations.stale
    assert plan(destinations).offer(0xFFFF) is None
    assert plan(destinations).problem == "its secrets are not read yet"
    assert await destinations.refresh() == {TARGET}
    assert not destinations.stale
    offer = plan(destinations).offer(0xFFFF)
    assert offer is not None
    assert set(offer.sections) == {TELEMETRY}


async def test_a_publication_that_changes_no_settings_keeps_what_was_filled_in() -> None:
    destinations = Destinations(NoSecrets(), ManualClock())
    publish(destinations, MOVE)
    await destinations.refresh()
    before = plan(destinations)
    publish(destinations, MOVE)
    assert plan(destinations) is before
    assert not destinations.stale
    publish(destinations, MOVE_AGAIN)
    assert plan(destinations).offer(0xFFFF) is None, "the old address is not offered in the name of the new one"
    assert destinations.stale


async def test_a_target_without_settings_has_no_plan() -> None:
    destinations = Destinations(NoSecrets(), ManualClock())
    publish(destinations, MOVE)
    publish(destinations)
    assert destinations.of_target(TARGET) == ()
    version = a_version()
    assert destinations.of(Assignment(Kind.KEEP, Reason.UP_TO_DATE, TARGET, version.digest)) is None
    assert destinations.of(Assignment(Kind.KEEP, Reason.NO_TARGET)) is None
    assert destinations.of(None) is None


async def test_agents_with_the_same_capabilities_share_an_offer() -> None:
    destinations = Destinations(NoSecrets(), ManualClock())
    publish(destinations, MOVE, LOGS)
    await destinations.refresh()
    one = plan(destinations)
    bits = int(Capability.ACCEPTS_OPAMP_CONNECTION_SETTINGS)
    assert one.offer(bits) is one.offer(bits | Capability.REPORTS_HEALTH)
    assert one.offer(bits) is not one.offer(bits | Capability.REPORTS_OWN_LOGS)
    found = one.offer(bits)
    assert found is not None
    assert one.opamp_digest == found.sections[OPAMP].digest


async def test_a_secret_that_goes_takes_the_settings_with_it_and_back_again_nothing_has_changed() -> None:
    secrets = KnownSecrets(key="abc")
    destinations = Destinations(secrets, ManualClock())
    publish(destinations, KEYED)
    await destinations.refresh()
    before = plan(destinations).offer(0xFFFF)
    del secrets.texts["key"]
    assert await destinations.refresh() == {TARGET}
    assert plan(destinations).problem == "the secret key is not there"
    secrets.texts["key"] = "abc"
    assert await destinations.refresh() == {TARGET}
    assert plan(destinations).offer(0xFFFF) == before
    assert await destinations.refresh() == frozenset()


class SlowDisk:
    """Secrets on a disk that may not answer."""

    def __init__(self) -> None:
        self.answers = False

    async def load(self, names: Collection[str]) -> Mapping[str, str]:
        if not self.answers:
            raise TimeoutError
        return {"key": "abc"}


@pytest.mark.parametrize("is_known", [False, True])
async def test_a_disk_that_does_not_answer_takes_nothing_back(is_known: bool) -> None:
    disk = SlowDisk()
    destinations = Destinations(disk, ManualClock())
    publish(destinations, KEYED)
    disk.answers = is_known
    await destinations.refresh()
    disk.answers = False
    changed = await destinations.refresh()
    assert changed == frozenset()
    offer = plan(destinations).offer(0xFFFF)
    assert (offer is not None) is is_known
    assert plan(destinations).problem == ("" if is_known else "its secrets cannot be read: the disk does not answer")

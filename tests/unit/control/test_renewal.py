"""`Renewal`: what is published is signed again at half of its life, once, and by the leader only."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from gitsync.control.leader import Leadership
from gitsync.control.published import Published, assemble
from gitsync.control.records import ReleaseKind
from gitsync.control.renewal import Renewal, due_at
from gitsync.errors import Unavailable
from gitsync.ids import DEFAULT_SOURCE
from gitsync.store import SqlStore, StoreOptions
from tests.support.builders import NOW
from tests.support.clock import ManualClock
from tests.support.control import SteeredSigner, a_bundle, a_publisher, lead, published
from tests.support.service import until
from tests.support.signing import Key

HALF = timedelta(days=7).total_seconds()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with await SqlStore.open(StoreOptions(f"sqlite:///{tmp_path / 'gitsync.db'}")) as store:
        yield store


@dataclass
class RenewalUnderTest:
    """A renewal on a real store; `catch_up` is what the feed does."""

    store: SqlStore
    renewal: Renewal
    clock: ManualClock
    signer: SteeredSigner
    leadership: Leadership
    in_effect: list[Published]
    rung: list[int]

    async def catch_up(self) -> None:
        self.in_effect[0] = assemble([await published(self.store)])

    async def revision(self) -> int:
        return (await published(self.store)).pointer.revision


@pytest.fixture
async def under_test(store: SqlStore) -> AsyncIterator[RenewalUnderTest]:
    clock, signer, in_effect, rung = ManualClock(), SteeredSigner(), [Published()], list[int]()
    publisher = a_publisher(store, clock, signer=signer)
    leadership = Leadership(store, "replica-1")
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(leadership.run(), name="leader")
        await publisher.publish(a_bundle(), await leadership.wait(), "system")
        renewal = Renewal(publisher, leadership, lambda: in_effect[0], clock, lambda: rung.append(1))
        made = RenewalUnderTest(store, renewal, clock, signer, leadership, in_effect, rung)
        await made.catch_up()
        yield made
        task.cancel()


async def test_a_release_is_due_at_half_of_its_life(under_test: RenewalUnderTest) -> None:
    release = under_test.in_effect[0].desired.releases[DEFAULT_SOURCE]
    assert due_at(release) == NOW + timedelta(days=7)


async def test_before_half_of_its_life_nothing_is_signed(under_test: RenewalUnderTest) -> None:
    before = await under_test.revision()
    under_test.clock.advance(HALF - 1)
    await under_test.renewal.renew()
    assert (await under_test.revision(), under_test.rung) == (before, [])


@pytest.mark.parametrize("seconds", [HALF, 10 * HALF], ids=["half way", "long expired"])
async def test_what_is_due_is_signed_again_and_rung_for(under_test: RenewalUnderTest, seconds: float) -> None:
    before = await under_test.revision()
    under_test.clock.advance(seconds)
    await under_test.renewal.renew()
    assert await under_test.revision() > before
    assert (await published(under_test.store)).release.kind is ReleaseKind.RESIGN
    assert under_test.rung == [1]
    await under_test.catch_up()
    await under_test.renewal.renew()
    assert under_test.rung == [1]


async def test_what_was_signed_is_not_signed_again_while_this_process_has_not_caught_up(
    under_test: RenewalUnderTest,
) -> None:
    under_test.clock.advance(HALF)
    for _ in range(3):
        await under_test.renewal.renew()
    assert under_test.rung == [1]
    assert len(await under_test.store.list_releases(DEFAULT_SOURCE, 9)) == 2


async def test_what_another_key_signed_is_signed_again_at_once(
    under_test: RenewalUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    under_test.signer.key = Key.ed25519(2)
    await under_test.renewal.renew()
    assert "was signed by another key" in caplog.text
    assert under_test.rung == [1]
    await under_test.catch_up()
    (release,) = under_test.in_effect[0].desired.releases.values()
    keys = {one.keyid for envelope in release.statements.values() for one in envelope.signatures}
    assert keys == {under_test.signer.keyid}
    await under_test.renewal.renew()
    assert under_test.rung == [1]


async def test_a_server_that_does_not_lead_signs_nothing(under_test: RenewalUnderTest) -> None:
    under_test.clock.advance(HALF)
    under_test.leadership.lost()
    await under_test.renewal.renew()
    assert under_test.rung == []


async def test_a_signer_that_is_away_is_said_and_asked_again(
    under_test: RenewalUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    under_test.clock.advance(HALF)
    under_test.signer.error = Unavailable("the signer is away")
    await under_test.renewal.renew()
    assert "source default: signing again failed: the signer is away" in caplog.text
    under_test.signer.error = None
    await under_test.renewal.renew()
    assert under_test.rung == [1]


async def test_a_leader_whose_lease_was_taken_stops_leading(under_test: RenewalUnderTest) -> None:
    lease = await under_test.leadership.wait()
    await under_test.store.release_lease(lease)
    await lead(under_test.store, "replica-2")
    under_test.clock.advance(HALF)
    await under_test.renewal.renew()
    assert under_test.leadership.lease is None
    assert under_test.rung == []


async def test_running_it_signs_what_is_due_without_being_asked(
    under_test: RenewalUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    under_test.clock.advance(HALF)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(under_test.renewal.run(), name="renewal")
        await until(lambda: under_test.rung)
        task.cancel()
    assert "signed again" in caplog.text

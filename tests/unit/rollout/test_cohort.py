"""Buckets are byte formats: these numbers never change."""

from __future__ import annotations

from collections import Counter

from gitsync.rollout.cohort import Cohort, fnv1a_32, rollout_bucket, variant_bucket

UID = "018f6c3e-7a1b-7c2d-9e4f-0123456789ab"


def test_the_variant_bucket_is_fnv1a_of_the_uid_text() -> None:
    assert fnv1a_32(UID.encode()) == 3588676954
    assert variant_bucket(UID) == 54


def test_fnv1a_gives_the_published_values() -> None:
    assert fnv1a_32(b"") == 0x811C9DC5
    assert fnv1a_32(b"a") == 0xE40C292C
    assert fnv1a_32(b"foobar") == 0xBF9CF968


def test_the_rollout_bucket_of_a_known_agent_is_pinned() -> None:
    assert rollout_bucket("default", "agents", UID) == GOLDEN_BUCKET


GOLDEN_BUCKET = 6203


def test_rollout_buckets_differ_by_target_and_spread_evenly() -> None:
    assert rollout_bucket("default", "agents", UID) != rollout_bucket("default", "gateways", UID)
    tenths = Counter(rollout_bucket("default", "agents", f"agent-{one}") // 1000 for one in range(10_000))
    assert set(tenths) == set(range(10))
    assert all(850 < number < 1150 for number in tenths.values())


def test_a_cohort_covers_the_buckets_below_its_cursor() -> None:
    cohort = Cohort(0, 100)
    assert cohort.contains(99)
    assert not cohort.contains(100)

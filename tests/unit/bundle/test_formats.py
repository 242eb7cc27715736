"""Byte formats that must never change by accident: a difference here re-rolls every fleet.

The expected digests were computed by hand from the written formats, not by this program.
"""

from pathlib import Path

import pytest

from gitsync.bundle.version import EMPTY_SLOT, Slot
from gitsync.ids import show_digest
from gitsync.rollout.cohort import fnv1a_32, rollout_bucket, variant_bucket
from tests.support.compiling import bundle_of, compiled, payload_of
from tests.support.configrepo import tree_of_directory

GOLDEN = Path(__file__).with_name("golden")
UID = "018f6c3e-7a1b-7c2d-9e4f-0123456789ab"


@pytest.mark.parametrize(
    ("path", "digest"),
    [
        ("agents", "048a75dda215ab7aa5bbe9fb4c271f839468361323730a50bf5200b1fb857f05"),
        ("agents/env=prod", "672d9bb5da8a8425c30b000dad2c11df42e4447b9111fa0c9e3a8dbd0cee1fa8"),
    ],
)
def test_a_tree_compiles_to_the_same_bytes_for_ever(path: str, digest: str) -> None:
    bundle = bundle_of(tree_of_directory(GOLDEN / "fleet"))
    payload = payload_of(bundle, path)
    (only,) = payload.objects
    expected = (GOLDEN / "compiled" / f"{path.replace('/', '.')}.yaml").read_text()
    assert only.body.decode() == expected
    assert show_digest(payload.digest) == f"sha256:{digest}"


def test_compiled_bytes_compile_to_themselves() -> None:
    first = payload_of(bundle_of(tree_of_directory(GOLDEN / "fleet")), "agents/env=prod")
    again = bundle_of({"x/target.yaml": "selector: {}", "x/c.yaml": first.objects[0].body.decode()})
    assert payload_of(again, "x").digest == first.digest


def test_the_golden_tree_has_no_findings() -> None:
    assert compiled(tree_of_directory(GOLDEN / "fleet")).diagnostics == ()


def test_buckets_are_those_of_the_written_formats() -> None:
    assert fnv1a_32(UID.encode()) == 3588676954
    assert variant_bucket(UID) == 54
    assert rollout_bucket("default", "agents/env=prod", UID) == 8613
    assert rollout_bucket("default", "agents/env=dev", UID) != rollout_bucket("default", "agents/env=prod", UID)


def test_a_slot_has_one_text() -> None:
    assert str(EMPTY_SLOT) == "-"
    slot = Slot("b", (("team", "x"),), frozenset({2, 1}), frozenset({"/teams/b", "/teams/a"}))
    text = '{"addons":["/teams/a","/teams/b"],"conditions":[1,2],"values":[["team","x"]],"variant":"b"}'
    assert str(slot) == text
    assert Slot.parse(text) == slot
    assert Slot.parse("-") == EMPTY_SLOT

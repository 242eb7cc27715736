"""Hundreds of thousands of broken configurations and statements: every verdict is sound, and nothing grows."""

from __future__ import annotations

import gc
import os
import sys
from random import Random

import pytest

from gitsync.collector.judge import judge_files
from gitsync.ottl.judge import Group, judge_group, judge_text
from gitsync.ottl.tree import Kind
from gitsync.worker.schemas import load_catalog
from tests.agreement.cases import hand_written_configs, hand_written_texts
from tests.support.validationfuzz import Fuzz, assert_sound, assert_sound_findings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CONFIGS = int(os.environ.get("GITSYNC_BROKEN_CONFIGS", "60000"))
TEXTS = int(os.environ.get("GITSYNC_BROKEN_TEXTS", "400000"))
SEED = int(os.environ.get("GITSYNC_SEED", "20261121"))
PARTS = 4
GROWTH_BLOCKS = 100_000
"""In the second half of the run: caches fill, and are bounded; one block left by each input would be more."""
KINDS_OF_TEXT: tuple[Kind, ...] = ("statement", "condition", "value")
CONTEXTS = ("resource", "scope", "span", "spanevent", "metric", "datapoint", "exemplar", "log", "profile")


def a_fuzz() -> Fuzz:
    build = load_catalog().build("contrib", ("0.149.0", "0.159.0"))
    configs = [text for case in hand_written_configs() for text in case.files]
    return Fuzz(Random(SEED), build, configs, [case.text for case in hand_written_texts()])


def test_broken_configurations_break_nothing_and_leave_nothing() -> None:
    fuzz = a_fuzz()
    builds = [load_catalog().build(name, ("0.149.0", "0.159.0")) for name in ("contrib", "core", "custom")]
    blocks, codes = [], set()
    for _ in range(PARTS):
        for number in range(CONFIGS // PARTS):
            data = fuzz.config()
            verdict = judge_files([("c.yaml", data)], builds[number % 10 if number % 10 < len(builds) else 0])
            assert_sound(verdict, {"c.yaml": data}, 10)
            codes.update(one.code for one in verdict.diagnostics)
        gc.collect()
        blocks.append(sys.getallocatedblocks())
    assert blocks[-1] - blocks[PARTS // 2 - 1] < GROWTH_BLOCKS
    assert len(codes) > 80  # the fuzz reaches what it is meant to reach


def test_broken_texts_break_nothing_and_leave_nothing() -> None:
    fuzz, random = a_fuzz(), Random(SEED)
    tables = load_catalog().build("contrib", ("0.159.0",)).newest.ottl
    blocks, codes = [], set()
    for _ in range(PARTS):
        for number in range(TEXTS // PARTS):
            text = fuzz.statement()
            found = judge_text(text, random.choice(KINDS_OF_TEXT), random.choice(CONTEXTS), tables)
            assert_sound_findings(found, text)
            codes.update(one.code for one in found)
            if number % 10 == 0:
                group = judge_group(Group(None, (text, fuzz.statement()), (fuzz.statement(),)), tables, CONTEXTS)
                assert_sound_findings(group.statements[0], text)
        gc.collect()
        blocks.append(sys.getallocatedblocks())
    assert blocks[-1] - blocks[PARTS // 2 - 1] < GROWTH_BLOCKS
    assert len(codes) > 50

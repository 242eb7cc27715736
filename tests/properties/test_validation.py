"""Whatever bytes a file holds, the verdict is sound, and the same in the next run."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitsync.bundle.compile import compile_bundle
from gitsync.collector.build import Build
from gitsync.collector.judge import judge_files
from gitsync.collector.schema import Entries, Items, Schema, Struct, Text
from gitsync.ottl.judge import judge_text
from gitsync.worker.schemas import load_catalog
from tests.agreement.cases import hand_written_configs, hand_written_texts
from tests.support.compiling import catalog
from tests.support.configrepo import tree_of
from tests.support.validationfuzz import KINDS, Fuzz, assert_sound, assert_sound_findings

SECRET = "correcthorsebattery"


@cache
def build(distribution: str = "contrib") -> Build:
    return catalog().build(distribution, ("0.149.0", "0.159.0"))


@cache
def configs() -> tuple[str, ...]:
    return tuple(text for case in hand_written_configs() for text in case.files)


def a_fuzz(seed: int) -> Fuzz:
    return Fuzz(Random(seed), build(), configs(), [case.text for case in hand_written_texts()])


@given(seed=st.integers(0, 1 << 32), distribution=st.sampled_from(["contrib", "core", "k8s", "custom"]))
@settings(max_examples=300, deadline=None)
def test_every_verdict_about_a_broken_configuration_is_sound(seed: int, distribution: str) -> None:
    data = a_fuzz(seed).config()
    verdict = judge_files([("c.yaml", data)], build(distribution))
    assert_sound(verdict, {"c.yaml": data}, 10)
    if distribution == "custom":
        assert "GS0230" not in {one.code for one in verdict.diagnostics}


@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=100, deadline=None)
def test_findings_about_merged_files_point_into_the_file_that_they_are_about(seed: int) -> None:
    fuzz = a_fuzz(seed)
    files = {f"{name}.yaml": fuzz.config() for name in "abc"}
    assert_sound(judge_files(list(files.items()), build()), files, 30)


@given(seed=st.integers(0, 1 << 32), context=st.sampled_from(["span", "log", "datapoint", "resource", "nothing"]))
@settings(max_examples=300, deadline=None)
def test_every_finding_about_a_broken_text_of_ottl_points_into_it(seed: int, context: str) -> None:
    text = a_fuzz(seed).statement()
    for kind in ("statement", "condition", "value"):
        assert_sound_findings(judge_text(text, kind, context, build().newest.ottl), text)


@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=200, deadline=None)
def test_any_bytes_get_a_verdict(data: bytes) -> None:
    assert_sound(judge_files([("c.yaml", data)], build()), {"c.yaml": data}, 10)


@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=50, deadline=None)
def test_a_commit_of_broken_files_is_refused_or_compiled_and_never_a_crash(seed: int) -> None:
    fuzz = a_fuzz(seed)
    files = {"agents/collector.yaml": fuzz.config(), "agents/redact.ottl": fuzz.statement().encode("utf-8", "replace")}
    result = compile_bundle(tree_of(files), catalog())
    assert (result.bundle is None) == any(one.severity == "error" for one in result.diagnostics)


def test_a_catalog_goes_through_a_pickle_and_judges_the_same() -> None:
    copy = pickle.loads(pickle.dumps(load_catalog())).build("contrib", ("0.149.0", "0.159.0"))
    for text in configs()[::40]:
        data = text.encode("utf-8", "surrogatepass")
        assert judge_files([("c.yaml", data)], copy) == judge_files([("c.yaml", data)], build())


DIGEST = """
import hashlib
from tests.properties.test_validation import a_fuzz, build, configs, judge_files, judge_text
digest, fuzz = hashlib.sha256(), a_fuzz(7)
inputs = [text.encode("utf-8", "surrogatepass") for text in configs()[::4]] + [fuzz.config() for _ in range(300)]
for data in inputs:
    digest.update(repr(judge_files([("c.yaml", data)], build())).encode())
for _ in range(3000):
    digest.update(repr(judge_text(fuzz.statement(), "statement", "span", build().newest.ottl)).encode())
print(digest.hexdigest())
"""


def test_verdicts_do_not_depend_on_the_order_of_sets() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def secrets(field: Schema, path: str, seen: frozenset[int]) -> list[str]:
    """Settings around every secret of a component, in flow style, with `@` in its place."""
    shape = field.shape
    if isinstance(shape, Text) and shape.secret:
        return [path]
    if id(shape) in seen:
        return []
    if isinstance(shape, Struct):
        inner = [(f"{{{key}: @}}", one) for key, one in shape.fields.items()]
    elif isinstance(shape, Items):
        inner = [("[@]", shape.item)]
    elif isinstance(shape, Entries):
        inner = [("{k: @}", shape.value)]
    else:
        return []
    return [one for step, of in inner for one in secrets(of, path.replace("@", step), seen | {id(shape)})]


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_that_stands_in_a_file_is_in_no_finding(kind: str) -> None:
    version = build().newest
    wrong = (
        SECRET, f"[{SECRET}]", f"{{a: {SECRET}}}", f'"http://u:{SECRET}@h"', f'"${{{SECRET}"', f'"(?<{SECRET}"',
        f'"${{env:A:-{SECRET}"', f'"${{A:-{SECRET}}}"', f'"${{env:A:{SECRET}}}"', f'"${{x:A:-{SECRET}}}"',
        f'"${{env:A:-$X{SECRET}}}"', f'"$${{A}} ${{env:B:-{SECRET}}}"', f'"${{env:}}{SECRET}"', "918273645546372",
    )  # fmt: skip
    for name in version.types(kind):
        schema = version.schema(kind, name)
        for place in [] if schema is None else secrets(schema, "@", frozenset()):
            for value in wrong:
                text = f"{kind}s:\n  {name}: {place.replace('@', value)}\n"
                for one in judge_files([("c.yaml", text.encode())], build()).diagnostics:
                    assert SECRET not in one.message + one.hint, (text, one)
                    assert "918273645546372" not in one.message + one.hint, (text, one)

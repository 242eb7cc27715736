"""Whatever a user writes, walking it gives findings and no exception, and repeats itself."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from gitsync.collector.document import Mapping, Origin, parse_mapping
from gitsync.collector.expansion import check_expansions, expand
from gitsync.collector.findings import Findings
from gitsync.collector.settings import Settings
from gitsync.collector.walk import walk
from gitsync.diagnostics import Diagnostic
from tests.support.collectorcatalog import SETTINGS, newest

NAMES = sorted({name for one in SETTINGS["$defs"].values() for name in one.get("properties", {})} | {"zz", "value"})
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats()
    | st.text(alphabet="a0-.:/${}x\n é", max_size=12)
    | st.sampled_from(["10s", "1d", "${env:X}", "$${1}", "2024-01-31", "gzip", "otlp/x", "regex_parser", "yes"])
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=25,
)


def walked(component: str, text: str) -> tuple[Diagnostic, ...] | None:
    node, _ = parse_mapping("c.yaml", text.encode("utf-8", "replace"))
    if not isinstance(node, Mapping):
        return None
    kind, _, name = component.partition("/")
    schema = newest().schema(kind, name)
    assert schema is not None
    findings = Findings("c.yaml")
    check_expansions(node, findings, sources={"c.yaml": text})
    for one in walk(Settings(component, name, Origin("c.yaml", 1, 1), node, (), schema.defaults), schema, findings):
        assert one.settings.here is not None
    return findings.done()


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["receiver/otlp", "exporter/otlp_grpc", "processor/batch", "receiver/odd"]),
    st.dictionaries(st.sampled_from(NAMES), TREES, max_size=6),
)
def test_any_settings_are_walked_to_the_end_and_twice_the_same(component: str, tree: dict[str, object]) -> None:
    text = json.dumps(tree, ensure_ascii=False)
    found = walked(component, text)
    assert found == walked(component, text)
    for one in found or ():
        assert one.code.startswith("GS02")
        assert "\n" not in one.message


@given(st.text(alphabet="${}ab:-1 ", max_size=40))
def test_every_character_that_a_component_sees_was_written(text: str) -> None:
    seen = expand(text)
    assert [text[seen.offset(index)] for index in range(len(seen.text))] == list(seen.text)
    for start, end in seen.holes:
        assert seen.text[start : start + 2] == "${"
        assert seen.text[end - 1] == "}"

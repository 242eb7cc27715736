"""For random fleets: each agent can verify exactly the statement of the target that the server gives it."""

from datetime import timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gitsync.bundle.compile import compile_bundle
from gitsync.bundle.statements import envelope, statements
from gitsync.bundle.verify import NO_MEMORY, verify
from gitsync.bundle.version import EMPTY_SLOT
from gitsync.errors import TrustError
from gitsync.fleet.desired import Desired
from gitsync.rollout.state import TargetState
from tests.support.builders import an_agent
from tests.support.compiling import catalog
from tests.support.configrepo import COLLECTOR_YAML, tree_of
from tests.support.signing import ISSUED, KEY, NOW, ROOT

KEYS = ("env", "region", "role")
VALUES = ("x", "y")
segments = st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)).map(lambda pair: f"{pair[0]}={pair[1]}")
directories = st.sets(st.lists(segments, min_size=1, max_size=3).map("/".join), min_size=1, max_size=6)
agents = st.dictionaries(st.sampled_from((*KEYS, "deployment.environment")), st.sampled_from((*VALUES, "other")))


def fleet(paths: set[str], default: bool, priority: int) -> dict[str, str]:
    files = {"gitsync.yaml": "aliases: {env: [deployment.environment]}"}
    for number, path in enumerate(sorted(paths)):
        text = COLLECTOR_YAML.replace("4317", str(5000 + number))
        files[f"a/{path}/c.yaml"] = text
        parts = path.split("/")
        for end in range(1, len(parts)):
            files.setdefault(f"a/{'/'.join(parts[:end])}/c.yaml", COLLECTOR_YAML)
        root = f"a/{parts[0]}/target.yaml"
        files.setdefault(root, f"priority: {priority + number}")
    if default:
        files |= {"rest/target.yaml": "default: true", "rest/c.yaml": COLLECTOR_YAML.replace("4317", "6000")}
    return files


@settings(max_examples=60, deadline=None)
@given(directories, st.booleans(), st.integers(-5, 5), st.lists(agents, min_size=1, max_size=6))
def test_an_agent_accepts_the_statement_of_its_target_and_no_other(
    paths: set[str], default: bool, priority: int, fleet_labels: list[dict[str, str]]
) -> None:
    bundle = compile_bundle(tree_of(fleet(paths, default, priority)), catalog()).bundle
    assume(bundle is not None)  # siblings of one label and another overlap: refused before anything is signed
    assert bundle is not None
    states = [
        TargetState(one.source, path, one.digest, one.digest, completed=(one.digest,))
        for path, one in bundle.versions.items()
    ]
    versions = {(one.id, one.digest): one for one in bundle.versions.values()}
    bodies = statements(
        states=states,
        versions=versions,
        payloads=bundle.payloads,
        revision=1,
        kind="publish",
        issued=ISSUED,
        expires=ISSUED + timedelta(days=14),
    )
    signed = {one.path: envelope(one.body, [KEY.sign(one.body)]) for one in bodies}
    desired = Desired(states={one.id: one for one in states}, versions=versions)
    for number, labels in enumerate(fleet_labels):
        agent = an_agent(labels, number=number)
        # The agent knows all labels that the server matches it by.
        own = agent.labels.effective()
        given_version = desired.match(agent)
        for path, sealed in signed.items():
            objects = bundle.payloads[bundle.versions[path].slots[EMPTY_SLOT]].objects
            if given_version is not None and path == given_version.path:
                assert verify(sealed, ROOT, NO_MEMORY, own, NOW, objects).path == path
                continue
            with pytest.raises(TrustError) as refused:
                verify(sealed, ROOT, NO_MEMORY, own, NOW, objects)
            assert refused.value.code in ("trust.selector", "trust.except")

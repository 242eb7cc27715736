"""Which statements a revision signs, and what they say."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from gitsync.bundle.statements import StatementBody, envelope, read_statement, statements
from gitsync.bundle.version import EMPTY_SLOT, Bundle, Payload, TargetVersion
from gitsync.errors import GitsyncError
from gitsync.ids import ConfigHash, TargetId, VersionDigest, show_digest
from gitsync.labels import parse_selector
from gitsync.rollout.cohort import Cohort
from gitsync.rollout.plan import Plan
from gitsync.rollout.state import Phase, Rollout, TargetState
from tests.support.compiling import bundle_of
from tests.support.configrepo import COLLECTOR_YAML, tree_of
from tests.support.signing import ISSUED, KEY

C = COLLECTOR_YAML
FLEET = {
    "gitsync.yaml": "aliases: {env: [deployment.environment]}\n",
    "agents/target.yaml": "selector: {matchExpressions: [{key: role, operator: NotIn, values: [gateway]}]}",
    "agents/c.yaml": C,
    "agents/env=prod/x.yaml": "exporters: {debug: {verbosity: basic}}",
    "agents/env=prod/region=eu/x.yaml": "exporters: {debug: {verbosity: normal}}",
    "agents/env=dev/x.yaml": "exporters: {debug: {verbosity: detailed}}",
    "gateways/target.yaml": "selector: {matchLabels: {role: gateway}}",
    "gateways/c.yaml": C,
    "rest/target.yaml": "default: true",
    "rest/c.yaml": C,
    "urgent/target.yaml": "selector: {matchLabels: {canary: 'true'}}\npriority: 10",
    "urgent/c.yaml": C,
}

Versions = dict[tuple[TargetId, VersionDigest], TargetVersion]


def published(bundle: Bundle) -> tuple[list[TargetState], Versions, dict[ConfigHash, Payload]]:
    """What the store has once a bundle is published to everybody."""
    states = [
        TargetState(one.source, path, one.digest, one.digest, completed=(one.digest,))
        for path, one in bundle.versions.items()
    ]
    return states, {(one.id, one.digest): one for one in bundle.versions.values()}, dict(bundle.payloads)


def made(
    states: Iterable[TargetState],
    versions: Versions,
    payloads: dict[ConfigHash, Payload],
    kept: Iterable[tuple[TargetId, VersionDigest]] = (),
    issued: datetime = ISSUED,
) -> tuple[StatementBody, ...]:
    return statements(
        states=states,
        versions=versions,
        payloads=payloads,
        revision=7,
        kind="publish",
        issued=issued,
        expires=ISSUED + timedelta(days=14),
        kept=list(kept),
    )


def excepts_of(bodies: Iterable[StatementBody]) -> dict[str, list[str]]:
    return {one.path: [str(each) for each in read(one).excepts] for one in bodies}


def read(one: StatementBody):  # type: ignore[no-untyped-def]
    return read_statement(envelope(one.body, []))


def test_every_target_in_use_gets_a_statement_about_its_payload() -> None:
    tree = tree_of(FLEET)
    bundle = bundle_of(tree)
    bodies = made(*published(bundle))
    assert [one.path for one in bodies] == sorted(bundle.versions)
    one = next(each for each in bodies if each.path == "agents/env=prod")
    version = bundle.versions["agents/env=prod"]
    statement = read(one)
    assert (one.version, one.slot, one.config_hash) == (version.digest, EMPTY_SLOT, version.slots[EMPTY_SLOT])
    assert (statement.source, statement.revision, statement.kind, statement.path) == ("default", 7, "publish", one.path)
    assert (statement.commit.id, statement.commit.subject) == (tree.commit.id, tree.commit.subject)
    assert statement.version == show_digest(version.digest)
    assert statement.config_hash == show_digest(one.config_hash)
    assert statement.selector == parse_selector("role!=gateway,env=prod")
    assert statement.objects[0].sha256 == one.config_hash.hex()
    assert (statement.assumed, statement.buckets, statement.slot) == ((), None, "-")
    assert statement.aliases == {"env": ("deployment.environment",)}


def test_what_deeper_and_higher_targets_take_is_excepted() -> None:
    assert excepts_of(made(*published(bundle_of(FLEET)))) == {
        "agents": ["canary=true", "env=dev,role!=gateway", "env=prod,role!=gateway"],
        "agents/env=dev": ["canary=true"],
        "agents/env=prod": ["canary=true", "env=prod,region=eu,role!=gateway"],
        "agents/env=prod/region=eu": ["canary=true"],
        "gateways": ["canary=true"],
        "rest": ["canary=true", "role=gateway", "role!=gateway"],
        "urgent": [],
    }


def test_targets_for_other_types_and_trusted_ones_are_no_exceptions() -> None:
    files = {
        "gitsync.yaml": "agentTypes: [{type: sdk, selector: {matchLabels: {sdk: a}}}]",
        "a/target.yaml": "selector: {}",
        "a/c.yaml": C,
        "a/x=1/target.yaml": "agentType: sdk\ninherit: false\nobjects: [{name: a, file: a.json}]",
        "a/x=1/a.json": "{}",
        "a/y=1/target.yaml": "trustedOnly: true\nselector: {matchLabels: {x: '2'}}",
    }
    assert excepts_of(made(*published(bundle_of(files)))) == {"a": [], "a/x=1": [], "a/y=1": []}


def test_the_versions_that_agents_may_return_to_are_signed_too() -> None:
    old = bundle_of(tree_of(FLEET, subject="old"))
    new = bundle_of(tree_of(FLEET | {"gateways/c.yaml": C.replace("4317", "4319")}, subject="new"))
    states, versions, payloads = published(new)
    _, old_versions, old_payloads = published(old)
    before, after = old.versions["gateways"].digest, new.versions["gateways"].digest
    states = [replace(one, fallback=before) if one.path == "gateways" else one for one in states]
    everything = ({**old_versions, **versions}, {**old_payloads, **payloads})
    gateways = [one for one in made(states, *everything) if one.path == "gateways"]
    assert {one.version for one in gateways} == {before, after}
    assert {read(one).commit.subject for one in gateways} == {"old", "new"}
    without = [replace(one, fallback=None) for one in states]
    assert len(made(without, *everything)) == len(new.versions)
    target = new.versions["gateways"].id
    assert made(without, *everything, kept=[(target, before)]) == made(states, *everything)


def test_a_target_that_does_not_exist_for_anybody_is_not_signed() -> None:
    states, versions, payloads = published(bundle_of(FLEET))
    states = [replace(one, stable=None, head=None) if one.path == "urgent" else one for one in states]
    bodies = made(states, versions, payloads)
    assert "urgent" not in {one.path for one in bodies}
    assert excepts_of(bodies)["gateways"] == []


def test_during_a_rollout_only_what_both_sides_take_is_excepted() -> None:
    old = bundle_of(FLEET)
    new = bundle_of(
        FLEET | {"urgent/target.yaml": "selector: {matchLabels: {canary: 'true', region: x}}\npriority: 10"}
    )
    states, versions, payloads = published(old)
    moved = new.versions["urgent"]
    rollout = Rollout("r", None, moved.digest, Plan(), Phase.PROGRESSING, Cohort(0, 100), ISSUED)
    states = [replace(one, rollout=rollout) if one.path == "urgent" else one for one in states]
    bodies = made(states, {**versions, (moved.id, moved.digest): moved}, payloads)
    assert len([one for one in bodies if one.path == "urgent"]) == 2
    assert excepts_of(bodies)["gateways"] == ["canary=true,region=x"]
    fresh = [replace(one, stable=None) if one.path == "urgent" else one for one in states]
    assert excepts_of(made(fresh, {**versions, (moved.id, moved.digest): moved}, payloads))["gateways"] == []


def test_equal_arguments_give_equal_bytes_in_any_order() -> None:
    states, versions, payloads = published(bundle_of(FLEET))
    elsewhere = ISSUED.astimezone(timezone(timedelta(hours=5))) + timedelta(microseconds=5)
    backwards = dict(reversed(versions.items()))
    assert made(states[::-1], backwards, payloads, issued=elsewhere) == made(states, versions, payloads)


def test_a_version_or_payload_that_is_missing_is_an_error_not_a_gap() -> None:
    states, versions, payloads = published(bundle_of(FLEET))
    for less in ((states, {}, payloads), (states, versions, {})):
        with pytest.raises(GitsyncError) as error:
            made(*less)  # type: ignore[arg-type]
        assert error.value.code == "bundle.incomplete"


def test_commit_texts_are_cut_and_made_printable() -> None:
    tree = tree_of(FLEET)
    commit = replace(tree.commit, author="\udcff" * 3, subject="x" * 3000 + "\udcff")
    states, versions, payloads = published(bundle_of(replace(tree, commit=commit)))
    statement = read(made(states, versions, payloads)[0])
    assert (len(statement.commit.subject), statement.commit.author) == (500, "???")


def test_a_statement_and_its_signature_make_an_envelope() -> None:
    (first, *_) = made(*published(bundle_of(FLEET)))
    sealed = envelope(first.body, [KEY.sign(first.body)])
    assert read_statement(sealed).path == "agents"
    assert sealed.signatures[0].keyid == KEY.record.keyid


def test_an_exception_that_an_alias_makes_ambiguous_is_left_out() -> None:
    files = {"a/target.yaml": "selector: {}", "a/c.yaml": C, "a/env=prod/c.yaml": ""}
    rules = "agentTypes: [{type: sdk, selector: {matchLabels: {env: none}}}]\naliases: {env: [%s]}"
    old = bundle_of(files | {"gitsync.yaml": rules % "d.e"})
    new = bundle_of(files | {"gitsync.yaml": rules % "other"})
    states, versions, payloads = published(new)
    before = old.versions["a"]
    states = [replace(one, stable=before.digest) if one.path == "a" else one for one in states]
    bodies = made(states, {**versions, (before.id, before.digest): before}, payloads)
    assert excepts_of(bodies) == {"a": [], "a/env=prod": []}

"""Every code of the compiler: one commit that earns it, the place that is named, and its line in the documentation."""

import re
from pathlib import Path

import pytest

from gitsync.bundle.tree import BadEntry
from gitsync.diagnostics import Severity
from tests.support.compiling import compiled
from tests.support.configrepo import COLLECTOR_YAML, QUIET, tree_of

ROOT = Path(__file__).parents[3]
AGENTS = {"agents/target.yaml": "selector: {matchLabels: {role: agent}}\n", "agents/c.yaml": COLLECTOR_YAML}
SDK_RULE = {"gitsync.yaml": "agentTypes: [{type: sdk, selector: {matchLabels: {a: b}}}]\n"}


def sdk(manifest: str, **more: str) -> dict[str, str]:
    files = {name.replace("__", "/").replace("_", "."): text for name, text in more.items()}
    return SDK_RULE | {"sdk/target.yaml": f"agentType: sdk\nselector: {{}}\n{manifest}"} | files


def connecting(line: str) -> dict[str, str]:
    """Agents with connection settings; `line` is line 3 of the target.yaml."""
    return AGENTS | {"agents/target.yaml": f"selector: {{}}\nconnection:\n  {line}\n"}


CASES: dict[str, tuple[dict[str, str], str]] = {
    "GS0402": (
        {"gitsync.yaml": "aliasses: {}\n"},
        'gitsync.yaml:1:1: error GS0402: unknown key "aliasses" (did you mean "aliases"?)',
    ),
    "GS0403": (
        {"agents/target.yaml": "selector:\n  matchLabels:\n    canary: true\n"},
        'agents/target.yaml:3:13: error GS0403: "selector.matchLabels.canary" must be text, not true or false (put it',
    ),
    "GS0404": ({"gitsync.yaml": "apiVersion: gitsync/v2\n"}, "gitsync.yaml:1:13"),
    "GS0405": (
        {"gitsync.yaml": "agentTypes:\n  - type: x\n"},
        'gitsync.yaml:2:5: error GS0405: "agentTypes[0]" needs the key "selector"',
    ),
    "GS0406": ({"gitsync.yaml": "aliases:\n  env: [region]\n  region: [cloud.region]\n"}, "gitsync.yaml:2:9"),
    "GS0407": (
        {"agents/target.yaml": "selector:\n  matchExpressions:\n    - {key: a, operator: In}\n"},
        "agents/target.yaml:3:7",
    ),
    "GS0408": (
        AGENTS | {"agents/target.yaml": AGENTS["agents/target.yaml"] + "include:\n  - c.yaml\n  - c.yaml\n"},
        "agents/target.yaml:4:5",
    ),
    "GS0409": (AGENTS | {"target.yaml": "selector: {}\n"}, "target.yaml:1:1"),
    "GS0501": ({"a=/c.yaml": COLLECTOR_YAML}, "a=/c.yaml:1:1"),
    "GS0502": (AGENTS | {"agents/prod/x.yaml": ""}, "agents/prod/x.yaml:1:1"),
    "GS0503": (AGENTS | {"agents/target.yaml": ""}, "agents/target.yaml:1:1"),
    "GS0505": (AGENTS | {"agents/role=gateway/c.yaml": ""}, "agents/role=gateway/c.yaml:1:1"),
    "GS0506": (
        AGENTS
        | {
            "more/target.yaml": "trustedOnly: false\nselector: {matchLabels: {env: prod}}\n",
            "more/c.yaml": COLLECTOR_YAML,
        },
        "more/target.yaml:2:1",
    ),
    "GS0507": (
        {"a/target.yaml": "default: true", "a/c.yaml": COLLECTOR_YAML, "b/target.yaml": "default: true"},
        "b/target.yaml:1:1",
    ),
    "GS0508": ({"a/target.yaml": "default: true\nselector: {}\n"}, "a/target.yaml:1:1"),
    "GS0509": (AGENTS | {"agents/env=x/target.yaml": "priority: 1"}, "agents/env=x/target.yaml:1:1"),
    "GS0510": (
        AGENTS | {"agents/target.yaml": "selector: {}\ninclude: [/lib/base.yaml]\n", "lib/bse.yaml": ""},
        "agents/target.yaml:2:11",
    ),
    "GS0511": (
        AGENTS | {"agents/target.yaml": "selector: {}\ninclude: [../../etc/passwd]\n"},
        "agents/target.yaml:2:11",
    ),
    "GS0512": (
        AGENTS | {"agents/target.yaml": "selector: {}\ninclude: [/notes.txt]\n", "notes.txt": ""},
        "agents/target.yaml:2:11",
    ),
    "GS0513": (
        AGENTS | {"agents/target.yaml": "selector: {}\nobjects: [{name: a, file: c.yaml}]\n"},
        "agents/target.yaml:2:1",
    ),
    "GS0514": (
        sdk("objects: [{name: a, file: a.json}]\n", sdk__a_json="{}", sdk__c_yaml=COLLECTOR_YAML),
        "sdk/c.yaml:1:1",
    ),
    "GS0515": (sdk("objects: [{name: a, file: a.bin}]\n", sdk__a_bin="x"), "sdk/target.yaml:3:27"),
    "GS0516": (sdk("objects: [{name: a, file: a.json}]\n", sdk__a_json='{\n  "a": 1,\n}'), "sdk/a.json:3:1"),
    "GS0517": (
        SDK_RULE
        | {"s/target.yaml": "agentType: sdkk\nselector: {}\nobjects: [{name: a, file: a.json}]\n", "s/a.json": "{}"},
        "s/target.yaml:1:1",
    ),
    "GS0518": (
        SDK_RULE
        | AGENTS
        | {"agents/x=y/target.yaml": "agentType: sdk\nobjects: [{name: a, file: a.json}]\n", "agents/x=y/a.json": "{}"},
        "agents/x=y/target.yaml:1:1",
    ),
    "GS0519": ({"agents/target.yaml": "selector: {}\n"}, "agents/target.yaml:1:1"),
    "GS0701": (connecting("opamp: {endpoint: gitsync.example.com}"), "agents/target.yaml:3:21"),
    "GS0702": (connecting("opamp: {endpoint: 'wss://g/v1/opamp'}"), "agents/target.yaml:3:3"),
    "GS0704": (
        connecting("ownLogs: {endpoint: 'https://o', headers: {A: '${secret:../key}'}}"),
        "agents/target.yaml:3:49",
    ),
    "GS0705": (
        connecting("ownLogs: {endpoint: 'https://o', certificate: {cert: a, ca: b, key: c}}"),
        "agents/target.yaml:3:71",
    ),
    "GS0706": (connecting("opamp: {endpoint: 'ws://g', heartbeat: 2h}"), "agents/target.yaml:3:42"),
    "GS0707": (connecting("ownLogs: {endpoint: 'https://o', headers: {A b: c}}"), "agents/target.yaml:3:51"),
    "GS0901": (AGENTS | {"teams/a/addon.yaml": "selector: {}\n"}, "teams/a/addon.yaml:1:1"),
    "GS0902": (AGENTS | {"agents/target.yaml": "selector: {}\naddons: [/teams/*]\n"}, "agents/target.yaml:2:1"),
    "GS0903": (AGENTS | {"agents/target.yaml": "selector: {}\nvariants: []\n"}, "agents/target.yaml:2:1"),
    "GS0904": (AGENTS | {"agents/target.yaml": "selector: {}\nbucketKey: [host.name]\n"}, "agents/target.yaml:2:1"),
    "GS0905": (AGENTS | {"agents/target.yaml": "selector: {}\nrollout: careful\n"}, "agents/target.yaml:2:10"),
    "GS0906": ({"gitsync.yaml": "strategies: {}\n"}, "gitsync.yaml:1:1"),
    "GS0907": ({"gitsync.yaml": "windows: []\n"}, "gitsync.yaml:1:1"),
    "GS0410": ({"gitsync.yaml": "collector: {distribution: contrb}\n"} | AGENTS, "gitsync.yaml:1:27"),
    "GS0412": ({"gitsync.yaml": "policies: {severity: {GS0231: warning}}\n"}, "gitsync.yaml:1:23"),
    "GS0909": (AGENTS | {"agents/target.yaml": "selector: {}\npackages: {}\n"}, "agents/target.yaml:2:1"),
    "GS0911": (AGENTS | {"agents/target.yaml": "selector: {}\nsuspend: false\n"}, "agents/target.yaml:2:1"),
    "GS0912": (
        AGENTS | {"agents/target.yaml": "selector: {}\ninclude:\n  - path: c.yaml\n    when: {matchLabels: {a: b}}\n"},
        "agents/target.yaml:4:5",
    ),
}

WARNINGS: dict[str, tuple[dict[str, str], str]] = {
    "GS0411": (
        AGENTS | {"gitsync.yaml": "collector: {versions: ['0.158.0']}\n" + QUIET},
        "gitsync.yaml:1:24",
    ),
    "GS0913": (AGENTS | {"agents/a.ottl": '# why\nset(span.name, "a")\n'}, "agents/a.ottl:2:1"),
    "GS0703": (
        connecting("ownLogs: {endpoint: 'https://o', headers: {Authorization: abc}}"),
        "agents/target.yaml:3:61",
    ),
    "GS0708": (
        connecting("ownLogs: {endpoint: 'http://o/v1/logs', headers: {Authorization: '${secret:a}'}}"),
        "agents/target.yaml:3:23",
    ),
}
BAD_ENTRIES = {
    "GS0601": "symlink",
    "GS0602": "submodule",
    "GS0603": "case-clash",
    "GS0604": "encoding",
    "GS0605": "file-size",
    "GS0606": "file-count",
    "GS0607": "name",
}


@pytest.mark.parametrize("code", CASES)
def test_a_fault_is_reported_with_its_code_at_its_place(code: str) -> None:
    files, expected = CASES[code]
    result = compiled(files)
    assert result.bundle is None
    found = [str(one) for one in result.diagnostics if one.code == code]
    assert found, [str(one) for one in result.diagnostics]
    assert found[0].startswith(expected)
    others = [str(one) for one in result.diagnostics if one.code != code and one.severity is Severity.ERROR]
    assert others == [], "one fault is one error"


@pytest.mark.parametrize("code", WARNINGS)
def test_what_is_probably_not_meant_is_said_and_the_commit_accepted(code: str) -> None:
    files, expected = WARNINGS[code]
    result = compiled(files)
    assert result.bundle is not None
    (found,) = result.diagnostics
    assert str(found).startswith(expected)
    assert (found.code, found.severity) == (code, Severity.WARNING)


@pytest.mark.parametrize(("code", "kind"), BAD_ENTRIES.items())
def test_a_bad_tree_entry_rejects_the_commit_and_is_named(code: str, kind: str) -> None:
    result = compiled(tree_of(AGENTS, bad=[BadEntry("docs/x", kind, "why")]))
    (found,) = result.diagnostics
    assert (found.code, found.path, result.bundle) == (code, "docs/x", None)
    assert "docs/x" in found.message
    assert "why" in found.message
    assert "docs/x" in result.files


def test_a_commit_without_gitsync_yaml_is_told_so_and_nothing_else() -> None:
    result = compiled(tree_of({"agents/target.yaml": "nonsense: 1"}, without_manifest=True))
    (found,) = result.diagnostics
    assert (found.code, found.path) == ("GS0401", "gitsync.yaml")
    misnamed = compiled(tree_of({"gitsync.yml": ""}, without_manifest=True))
    assert "rename gitsync.yml" in misnamed.diagnostics[0].hint


def test_the_reference_explains_exactly_the_codes_of_this_package() -> None:
    package = ROOT / "gitsync"
    sources = [*(package / "bundle").glob("*.py"), *(package / "worker").glob("*.py")]
    reported = set(re.findall(r'"(GS\d{4})"', "\n".join(path.read_text() for path in sources))) - {"GS0100"} | {
        "GS0913"
    }
    pages = {path.stem for path in (ROOT / "docs" / "reference" / "diagnostics").glob("*.md")}
    assert reported <= pages
    assert reported == {"GS0401", "GS0699"} | CASES.keys() | WARNINGS.keys() | BAD_ENTRIES.keys()

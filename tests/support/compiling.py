"""Compiling small trees in tests."""

from __future__ import annotations

from functools import cache

from gitsync.bundle.catalog import Catalog
from gitsync.bundle.compile import compile_bundle
from gitsync.bundle.tree import ConfigTree
from gitsync.bundle.version import EMPTY_SLOT, Bundle, CompileResult, Payload
from gitsync.worker.schemas import load_catalog
from tests.support.configrepo import tree_of


@cache
def catalog() -> Catalog:
    """The schemas of the package."""
    return load_catalog()


def compiled(files: dict[str, str] | ConfigTree) -> CompileResult:
    """The result for these files."""
    tree = files if isinstance(files, ConfigTree) else tree_of(files)
    return compile_bundle(tree, catalog())


def bundle_of(files: dict[str, str] | ConfigTree) -> Bundle:
    """The bundle of files that have no error."""
    result = compiled(files)
    assert result.bundle is not None, "\n".join(map(str, result.diagnostics))
    return result.bundle


def payload_of(bundle: Bundle, path: str) -> Payload:
    """What the agents of a target get."""
    return bundle.payloads[bundle.versions[path].slots[EMPTY_SLOT]]


def body_of(bundle: Bundle, path: str) -> str:
    """The Collector configuration of a target."""
    (only,) = payload_of(bundle, path).objects
    return only.body.decode()


def codes_of(result: CompileResult) -> list[str]:
    """The codes of what was found, in order."""
    return [one.code for one in result.diagnostics]

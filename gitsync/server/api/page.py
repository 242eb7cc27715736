"""The page at `/docs`: every route, read from the OpenAPI document.

One page without scripts and without anything from another host: it works on a network without internet, and
under the strictest content security policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
body { color: #1c2430 }
h1 { font-size: 1.5rem }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #d5dbe3; text-transform: capitalize }
code { font: 13px/1.5 ui-monospace, monospace }
table { border-collapse: collapse; margin: .4rem 0 .4rem 3.6rem }
td { padding: .1rem 1rem .1rem 0; vertical-align: top }
p { margin: .2rem 0 .2rem 3.6rem }
.route { margin: 1.2rem 0 }
.verb { display: inline-block; min-width: 3.4rem; font-weight: 600; color: #0b5cad }
.post { color: #a3400b }
.dim { color: #5d6b7c }
@media (prefers-color-scheme: dark) {
  body { background: #14181e; color: #dfe5ec }
  h2 { border-color: #333c48 }
  a, .verb { color: #6cb2ff }
  .post { color: #ffa26b }
  .dim { color: #93a1b3 }
}
"""


def render(schema: Mapping[str, Any]) -> str:
    """The page for an OpenAPI document."""
    info = schema["info"]
    body = "".join(_groups(schema))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f'<title>{escape(info["title"])}</title><link rel="stylesheet" href="/docs/style.css"></head><body>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        '<p class="dim">The same as an OpenAPI document: <a href="/openapi.json">openapi.json</a>. '
        "Calls marked “token” need <code>Authorization: Bearer gst_…</code>; all others are open.</p>"
        f"{body}</body></html>"
    )


def _groups(schema: Mapping[str, Any]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for path, operations in schema["paths"].items():
        for verb, operation in operations.items():
            tag = operation.get("tags", ["other"])[0]
            groups.setdefault(tag, []).append(_route(path, verb, operation))
    for tag, routes in groups.items():
        yield f"<h2>{escape(tag)}</h2>{''.join(routes)}"


def _route(path: str, verb: str, operation: Mapping[str, Any]) -> str:
    key = ' <span class="dim">token</span>' if operation.get("security") else ""
    text = operation.get("description") or operation.get("summary", "")
    rows = "".join(_parameter(one) for one in operation.get("parameters", []))
    table = f"<table>{rows}</table>" if rows else ""
    answers = ", ".join(sorted(operation.get("responses", {})))
    return (
        f'<div class="route"><span class="verb {escape(verb)}">{escape(verb.upper())}</span> '
        f"<code>{escape(path)}</code>{key}<p>{escape(text)}</p>{table}"
        f'<p class="dim">answers {escape(answers)}; problems as application/problem+json</p></div>'
    )


def _parameter(one: Mapping[str, Any]) -> str:
    needed = "" if one.get("required") else " (optional)"
    default = one.get("schema", {}).get("default")
    shown = "" if default is None else f", default {default}"
    return (
        f"<tr><td><code>{escape(one['name'])}</code></td>"
        f"<td class='dim'>{escape(one['in'])}{needed}{escape(shown)}</td>"
        f"<td>{escape(one.get('description', ''))}</td></tr>"
    )

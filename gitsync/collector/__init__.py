"""The OpenTelemetry Collector's configuration language: read, merge, write, check. Pure.

Belongs here: YAML with marks and limits, the Collector's own rules for scalars, maps and ids, the pipelines.
Does not belong here: directories, selectors and manifests (`bundle`), OTTL (`ottl`), what opens a file.

    bytes ── document.parse_yaml ──▶ node tree ── merge ──▶ node tree ── check ──▶ diagnostics
                                                                     └── emit ──▶ bytes

A tree keeps the text and the tag of every scalar and never becomes Python values on its way to an agent:
`0.10` is still `0.10` there. Every node knows the file, line and column it was written in, also after
merging.
"""

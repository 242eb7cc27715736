"""OTTL, the OpenTelemetry Transformation Language: read a statement, and judge it without running it. Pure.

Belongs here: the grammar, the tree, contexts with their paths, functions with their arguments, literals. Does not
belong here: where statements stand in a configuration, and YAML (`collector`).

    text ── lexer ──▶ tokens ── parser ──▶ tree ── check(context, functions, tables) ──▶ findings

A finding points at characters of the text: the caller knows where the text stands in which file.
"""

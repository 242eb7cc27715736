"""The conformance suite: every rule of OpAMP for servers and agents, and the conversations that show it.

`rules_*` says what the rules are, `cases_*` has the conversations, `table` puts both together, and `page` writes
docs/reference/opamp-conformance.md (`python -m tests.protocol.conformance`). The words that conversations are made of
are in tests/support/conformance.py.
"""

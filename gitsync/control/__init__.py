"""Use cases: sync a source, publish a commit, keep agents on what is desired. Async, and only through ports.

Belongs here: the order of loading, deciding (by the pure packages), saving and telling. Does not belong here: SQL,
Git, sockets, HTTP, and decisions about the domain: an `if` about those belongs in a pure package.
"""

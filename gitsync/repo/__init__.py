"""Git: the bare mirror of a source, fetched with a fixed command line and read from the object database.

Belongs here: every call of git and GitPython, credentials, locks and repair of the mirror, watching a local
repository. Does not belong here: what the files mean. There is never a work tree.
"""

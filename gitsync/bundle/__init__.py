"""From a config tree to signed statements: manifests, targets, compiled payloads, statements. Pure.

Belongs here: what one commit means. Does not belong here: Git, disks, keys, agents, what is published.
"""

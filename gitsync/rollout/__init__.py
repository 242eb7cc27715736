"""How the agents of one target move from one version to another: the owner of desired state. Pure.

Belongs here: states, transitions, cohorts and stages, over opaque digests and numbers. Does not belong here:
agents, labels, payloads, clocks, storage.
"""

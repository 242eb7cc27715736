"""The OpAMP protocol as values and state: bytes in, bytes and events out. Pure.

Belongs here: the wire format, what a peer may send and when, one agent's protocol state on either side.
Does not belong here: sockets, timers, labels, targets, what an agent should run. Generated classes (`pb/`)
never leave this package: what others get are the frozen values of `messages`.
"""

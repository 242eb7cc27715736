"""The lab: simulated agents that behave like real ones, faults included, against any OpAMP server.

Belongs here: agents of many kinds, their sockets, and the live table. Does not belong here: anything that the
service itself needs.
"""

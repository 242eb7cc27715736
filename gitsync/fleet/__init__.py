"""Agents as values: what is known of one, how a message changes it, and what it should have now. Pure.

Belongs here: labels, attempts, health, evidence, matching and assignment. Does not belong here: sessions and
bytes (`opamp`), who is connected (`control.agents`), storage.
"""

"""Builders, servers and waiting, shared by all tests."""

"""Literals that the Collector checks when it reads a statement: why a text is none of its kind. Pure."""

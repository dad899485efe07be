"""Traces as trees, sessions as conversations, users over time, and the ways from there into other tools."""

"""Requests made from our own OpenAPI document: `python -m tests.fuzz` (make fuzz)."""

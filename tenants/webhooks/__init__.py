"""Telling others: events to the endpoints of a tenant, by the Standard Webhooks specification, to a chat, by e-mail."""

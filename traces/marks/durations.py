"""Lengths of time as people read them. Pure."""

from datetime import timedelta


def milliseconds(us: int) -> str:
    """A duration as people read it."""
    if us >= 1_000_000:
        return f"{us / 1_000_000:,.2f} s"
    return f"{us / 1000:,.0f} ms" if us >= 10_000 else f"{us / 1000:,.1f} ms"


def duration(length: timedelta) -> str:
    """A length of time as people read it."""
    seconds = length.total_seconds()
    if seconds < 60:
        return milliseconds(round(seconds * 1_000_000))
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if minutes < 60:
        return f"{int(minutes)} min {int(seconds % 60)} s"
    return f"{int(hours)} h {int(minutes % 60)} min" if hours < 48 else f"{days:,.1f} days"

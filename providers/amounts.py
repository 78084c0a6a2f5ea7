"""Amounts as people read them."""


def counted(number: float, what: str) -> str:
    """`1 file`, `180 files`."""
    return f"{int(number)} {what}" if number == 1 else f"{int(number)} {what}s"


def length(duration: str) -> str:
    """A duration in ISO 8601: `PT2H` -> `2h`, `PT1M30S` -> `1m30s`."""
    return duration.removeprefix("PT").lower()

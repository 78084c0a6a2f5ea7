"""Logs that grow, read on from where they were left."""

from dataclasses import dataclass, field

from providers.arm import ArmClient

_AT_ONCE = 1024 * 1024  # bytes of one look
_KEPT = 512 * 1024  # characters


@dataclass
class LogTail:
    """By name of log: the links change with every look, the names stay. Holds the last half megabyte of each."""

    arm: ArmClient
    _read: dict[str, int] = field(default_factory=dict)
    _text: dict[str, str] = field(default_factory=dict)
    _rest: dict[str, bytes] = field(default_factory=dict)

    def look(self, name: str, url: str) -> str:
        """What was added since the last look, in whole characters. Raises ArmError."""
        start = self._read.get(name, 0)
        raw = self.arm.fetch_bytes(url, start=start, limit=_AT_ONCE)
        self._read[name] = start + len(raw)
        whole, self._rest[name] = _whole_characters(self._rest.get(name, b"") + raw)
        self._text[name] = (self._text.get(name, "") + whole)[-_KEPT:]
        return whole

    def text(self, name: str) -> str:
        return self._text.get(name, "")

    def lines(self, name: str, last: int) -> tuple[str, ...]:
        """The last lines that say something."""
        said = [line.rstrip() for line in self.text(name).splitlines() if line.strip()]
        return tuple(said[-last:])


def _whole_characters(raw: bytes) -> tuple[str, bytes]:
    """The text, and the bytes at its end that are the beginning of a character."""
    for cut in range(4):
        end = len(raw) - cut
        try:
            return raw[:end].decode("utf-8"), raw[end:]
        except UnicodeDecodeError as error:
            if error.start < end - 4:
                break
    return raw.decode("utf-8", errors="replace"), b""

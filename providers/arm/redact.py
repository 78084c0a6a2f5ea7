"""Secrets out of text: what a service, a library or a log line may carry, and nobody may see."""

from __future__ import annotations

import logging
import re

HIDDEN = "<hidden>"

_NAMED = (
    "(?:client_?secret|client_assertion|access_?token|refresh_?token|primaryKey|secondaryKey|sasUri|sasToken|password)"
)
_SECRETS = (
    # A JSON Web Token wherever it stands: three base64url parts, the first of which is always a JSON object.
    re.compile(r"()\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"),
    re.compile(r"(?i)(\bbearer\s+)[\w.~+/-]+=*"),
    # The signature of a shared access signature, plain or percent-encoded once, and connection strings.
    re.compile(r"(?i)(\bsig(?:=|%3d))[^&\s\"'<>]+"),
    re.compile(r"(?i)(\b(?:AccountKey|SharedAccessSignature|SharedAccessKey)\s*=\s*)[^;\s\"'<>]+"),
    # Named values: in JSON to the quote that ends them, however often that JSON is text in other JSON; and in a form.
    re.compile(rf'(?is)((\\*)"{_NAMED}\2"\s*:\s*\2").*?(?=(?<!\\)\2"|$)'),
    re.compile(rf"(?i)(\b{_NAMED}\\?\"?\s*[:=]\s*\\?\"?)[^\"\\&\s,}}]+"),
)


def redact(text: str) -> str:
    """`text` with tokens, keys and signatures replaced."""
    for secret in _SECRETS:
        text = secret.sub(rf"\g<1>{HIDDEN}", text)
    return text


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True


_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy")


def redact_logs() -> None:
    """Make httpx's own log lines safe: it logs whole URLs, and those of blobs may carry a signature.

    A filter on a logger does not see what its children log, so each logger that writes gets one.
    """
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(known, _Redacting) for known in logger.filters):
            logger.addFilter(_Redacting())

"""The CLI's passphrase secrets: `v1:<nonce>:<text>` in AES-256-GCM under PBKDF2-SHA256, one million rounds.

Source: pulumi 3.260.0, sdk/go/common/resource/config/crypt.go and pkg/secrets/passphrase/manager.go.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lab.engine import values
from lab.engine.errors import BadUsage
from lab.engine.values import Secret

_ROUNDS = 1_000_000


def passphrase_from(environ: Mapping[str, str]) -> str:
    """PULUMI_CONFIG_PASSPHRASE (may be empty), else the content of PULUMI_CONFIG_PASSPHRASE_FILE, stripped."""
    if "PULUMI_CONFIG_PASSPHRASE" in environ:
        return environ["PULUMI_CONFIG_PASSPHRASE"]
    if path := environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BadUsage(f"unable to read PULUMI_CONFIG_PASSPHRASE_FILE: {error}") from error
    raise BadUsage(
        "passphrase must be set with PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables"
    )


class Passphrase:
    """One salt and its key. The key takes a third of a second to make, so it is made when first needed."""

    def __init__(self, phrase: str, salt: str) -> None:
        self._phrase, self.salt = phrase, salt

    @classmethod
    def new(cls, phrase: str) -> Passphrase:
        raw = os.urandom(8)
        made = cls(phrase, "")
        made.__dict__["_aes"] = _key(phrase, raw)
        made.salt = f"v1:{base64.b64encode(raw).decode()}:{made.encrypt('pulumi')}"
        return made

    def encrypt(self, text: str) -> str:
        nonce = os.urandom(12)
        sealed = self._aes.encrypt(nonce, text.encode(), None)
        return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(sealed).decode()}"

    def decrypt(self, sealed: str) -> str:
        return _decrypt(self._aes, sealed)

    def seal(self, text: str, secret: Secret) -> str:
        """Encrypt a secret's JSON; what was read or sealed under this salt before keeps its ciphertext."""
        if not secret.sealed or secret.sealed[0] != self.salt:
            secret.sealed[:] = [self.salt, self.encrypt(text)]
        return secret.sealed[1]

    def unseal(self, sealed: str) -> Secret:
        value = values.from_json(json.loads(self.decrypt(sealed)), _nested)
        return Secret(value, [self.salt, sealed])

    @cached_property
    def _aes(self) -> AESGCM:
        version, raw, check = self.salt.split(":", 2)
        if version != "v1":
            raise BadUsage(f"unknown version of the passphrase salt: {version}")
        aes = _key(self._phrase, base64.b64decode(raw))
        if _decrypt(aes, check) != "pulumi":
            raise BadUsage("incorrect passphrase")
        return aes


def _nested(text: str) -> Secret:
    return Secret(values.from_json(json.loads(text), _nested))


def _key(phrase: str, salt: bytes) -> AESGCM:
    return AESGCM(hashlib.pbkdf2_hmac("sha256", phrase.encode(), salt, _ROUNDS, 32))


def _decrypt(aes: AESGCM, sealed: str) -> str:
    try:
        _, nonce, text = sealed.split(":")
        return aes.decrypt(base64.b64decode(nonce), base64.b64decode(text), None).decode()
    except InvalidTag as error:
        raise BadUsage("incorrect passphrase") from error

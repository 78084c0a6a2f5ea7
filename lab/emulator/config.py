"""What the daemon hands to the emulator: places, secrets and settings of one lab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class EmulatorConfig:
    """One lab's emulator. Secrets are kept out of `repr`, so that a logged config gives nothing away."""

    home: Path
    """Everything the emulator keeps: `emulator.db`, the token key, `jobs/<job>/`."""
    cache: Path
    """Shared between labs: scoring environments by hash. Handed on to the scoring driver."""
    client_secret: str = field(repr=False)
    """Secret of the lab's one service principal (`lab.identity.CLIENT_ID`)."""
    storage_key: str = field(repr=False)
    """Account key of `lab.identity.STORAGE_ACCOUNT` in Azurite, base64."""
    control_token: str = field(repr=False)
    """Bearer token of the control API under `/_lab/`."""
    blob_endpoint: str
    """Azurite by path style, without the account: `https://127.0.0.1:<port>`."""
    ca_file: Path
    """Certificate of the lab's authority, PEM: what signs Azurite's certificate."""
    proxy_port: int
    """Where the lab's proxy listens on 127.0.0.1; told to whoever asks `/_lab/health`."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Plays by name (`plays.Plays`) that differ from their defaults at start."""

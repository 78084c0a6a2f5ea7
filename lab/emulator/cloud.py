"""The state that all routes share: one lab's cloud."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.emulator.blobs import BlobStorage
from lab.emulator.config import EmulatorConfig
from lab.emulator.entra import TokenKeys
from lab.emulator.executions import Executions
from lab.emulator.faults import FaultScript
from lab.emulator.federated import FederatedCredential
from lab.emulator.plays import Plays
from lab.emulator.requests import RequestLog
from lab.emulator.store import Store


@dataclass
class Cloud:
    """`plays` is replaced as a whole when a setting changes; everything else stays for the life of the process."""

    config: EmulatorConfig
    plays: Plays
    store: Store
    keys: TokenKeys
    blobs: BlobStorage
    executions: Executions
    log: RequestLog
    created: float
    """When this lab's workspace was made, seconds since the epoch."""
    roles_work_from: float = 0.0
    """Until then blob storage refuses Entra ID tokens (`role_assignment_seconds`)."""
    federated: tuple[FederatedCredential, ...] = ()
    """Of the lab's service principal; for the life of the process."""
    faults: FaultScript = field(default_factory=FaultScript)
    clock: Callable[[], float] = time.time

    def set_plays(self, plays: Plays) -> None:
        if plays.role_assignment_seconds != self.plays.role_assignment_seconds:
            self.roles_work_from = self.clock() + plays.role_assignment_seconds
        self.plays = plays
        self.executions.plays = plays
        self.log.resize(plays.request_log)


def make_cloud(
    config: EmulatorConfig,
    *,
    clock: Callable[[], float],
    blobs: BlobStorage,
    executions: Callable[[Store, Plays], Executions],
) -> Cloud:
    """Open what the lab keeps in its home; make what is missing. Raises ValueError for an unfit setting."""
    plays = Plays().changed(config.settings)
    config.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = Store(config.home / "emulator.db")
    return Cloud(
        config=config,
        plays=plays,
        store=store,
        keys=TokenKeys(config.home / "entra.pem"),
        blobs=blobs,
        executions=executions(store, plays),
        log=RequestLog(plays.request_log),
        created=float(store.fact("workspace created", repr(clock()))),
        roles_work_from=clock() + plays.role_assignment_seconds,
        clock=clock,
    )

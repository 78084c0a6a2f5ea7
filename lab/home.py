"""Where a lab keeps what it has: one folder, readable by its owner alone."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from lab.errors import LabError

CHECKOUT = Path(__file__).resolve().parent.parent
"""The project's own folder: `python -m lab` runs from here, and `.lab/` lies here unless told otherwise."""


@dataclass(frozen=True)
class Home:
    """The folder of one lab (`root`) and of what labs share (`cache`); both absolute."""

    root: Path
    cache: Path

    @property
    def facts_file(self) -> Path:
        """`lab.json`: the facts of the running lab; stale after the daemon was killed."""
        return self.root / "lab.json"

    @property
    def secrets_file(self) -> Path:
        return self.root / "secrets.json"

    @property
    def ports_file(self) -> Path:
        """Ports of the last run, tried again so that a shell with `lab env` survives a restart."""
        return self.root / "ports.json"

    @property
    def start_lock(self) -> Path:
        """Held while a start or a stop is at work."""
        return self.root / "start.lock"

    @property
    def daemon_lock(self) -> Path:
        """Held by the daemon for its whole life; the file's text is its pid."""
        return self.root / "daemon.lock"

    @property
    def azurite_pid_file(self) -> Path:
        return self.root / "azurite.pid"

    @property
    def azurite_data(self) -> Path:
        return self.root / "azurite"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def log(self) -> Path:
        return self.logs / "lab.log"

    @property
    def bin(self) -> Path:
        """In front of PATH inside `lab run`: the stand-in for the azure-native plugin."""
        return self.root / "bin"

    @property
    def certificates(self) -> Path:
        return self.root / "certificates"

    def prepare(self) -> None:
        """Make the folders, private to this user.

        Raises LabError: a folder cannot be made or written.
        """
        for folder in (self.root, self.cache, self.logs, self.bin, self.certificates, self.azurite_data):
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as problem:
                raise LabError(f"cannot make the folder {folder}: {problem.strerror}") from problem
            if not os.access(folder, os.W_OK | os.X_OK):
                raise LabError(f"cannot write in {folder}: set LAB_HOME or LAB_CACHE to a folder of yours")


def home_from(environ: Mapping[str, str]) -> Home:
    """The home that LAB_HOME and LAB_CACHE name, by default `.lab` and `.lab/cache` in the checkout.

    Raises LabError: one of them is not an absolute path.
    """
    return Home(
        root=_folder(environ, "LAB_HOME", CHECKOUT / ".lab"),
        cache=_folder(environ, "LAB_CACHE", CHECKOUT / ".lab" / "cache"),
    )


def _folder(environ: Mapping[str, str], name: str, default: Path) -> Path:
    value = environ.get(name)
    if not value:
        return default
    path = Path(value)
    if not path.is_absolute():
        raise LabError(f"{name} must be an absolute path, got {value!r}")
    return path


@dataclass(frozen=True)
class Secrets:
    """Random per lab, kept for its life: pipelines and shells that know them survive a restart."""

    client_secret: str = field(repr=False)
    """Of the lab's service principal (`lab.identity.CLIENT_ID`)."""
    storage_key: str = field(repr=False)
    """Account key of `lab.identity.STORAGE_ACCOUNT`, base64 of 64 bytes as Azure's are."""
    control_token: str = field(repr=False)
    """Bearer of the emulator's control API."""

    @classmethod
    def random(cls) -> Secrets:
        return cls(
            client_secret=secrets.token_urlsafe(32),
            storage_key=base64.b64encode(secrets.token_bytes(64)).decode("ascii"),
            control_token=secrets.token_urlsafe(32),
        )


def secrets_of(home: Home) -> Secrets:
    """The secrets of this home, made at the first call (or when their file is damaged)."""
    known = _read_json(home.secrets_file)
    names = {f.name for f in fields(Secrets)}
    if set(known) == names and all(isinstance(value, str) and value for value in known.values()):
        return Secrets(**{name: str(known[name]) for name in names})
    made = Secrets.random()
    write_private(home.secrets_file, json.dumps(asdict(made)))
    return made


@dataclass(frozen=True)
class Facts:
    """What `lab.json` says of the running lab: everything a client of it needs."""

    pid: int
    proxy_port: int
    emulator_port: int
    azurite_port: int
    ca_file: str
    client_secret: str = field(repr=False)
    storage_key: str = field(repr=False)
    control_token: str = field(repr=False)
    started: str
    """UTC, ISO 8601."""
    page_port: int = 0
    """Of the page for browsers, plain http; 0 in the file of a lab that was started before there was one."""

    @property
    def page(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self.page_port}/"


def read_facts(home: Home) -> Facts | None:
    """What `lab.json` says, or None when there is none or it makes no sense; the lab may be long gone."""
    known = _read_json(home.facts_file)
    try:
        return Facts(**known)  # type: ignore[arg-type]  # what is not a fact's type is caught below
    except TypeError:
        return None


def write_facts(home: Home, facts: Facts) -> None:
    write_private(home.facts_file, json.dumps(asdict(facts), indent=2))
    write_private(home.ports_file, json.dumps({name: getattr(facts, name) for name in PORTS}))


PORTS = ("proxy_port", "emulator_port", "azurite_port", "page_port")


def last_ports(home: Home) -> dict[str, int]:
    """Port by name (`PORTS`) of the last run; 0, which lets the system choose, where it is not known."""
    known = _read_json(home.ports_file)
    return {name: port if isinstance(port := known.get(name), int) else 0 for name in PORTS}


def write_private(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Write the whole file or nothing, readable by its owner alone (`mode`) from its first moment."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read_json(path: Path) -> dict[str, object]:
    """The object in a file of ours; empty when the file is missing or damaged, which both mean: make it anew."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}

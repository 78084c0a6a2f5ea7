"""Record real previews of every kind of change on each engine there is: `python -m tests.reviews.record`, minutes.

One lab and one `up` for each engine; then each change is made, previewed and taken back. What is written is what the
engine printed, without its indentation, the program's stack traces and this machine's paths. Recordings are never
edited by hand.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from lab.engine.passphrase import Passphrase
from tests.lifecycle.checkout import Checkout, engines
from tests.reviews.recordings import KINDS, OTHERS, commented, golden

FOLDER = Path(__file__).resolve().parent / "previews"
_OF_THIS_MACHINE = ("stackTrace", "sourcePosition", "propertyDependencies")
SECRET = "zebra-quartz-7193-lantern"


def new_code(checkout: Checkout) -> None:
    """The scoring script changes, and a file is added beside it."""
    checkout.edit("examples/digits/code/score.py", "def run(", "# a comment\ndef run(")
    (checkout.folder / "examples/digits/code/labels.txt").write_text("zero one two\n", encoding="utf-8")


def settings(checkout: Checkout) -> None:
    """What changes in place: files per call, a tag, variables of the script, a secret one among them."""
    checkout.configure(
        deployments__digits__mini_batch_size=50,
        deployments__digits__environment_variables={"LEVEL": "3 | `x`", "API_PASSWORD": {"secure": sealed(checkout)}},
        tags={"team": "vision"},
    )


def compute(checkout: Checkout) -> None:
    """More, other and cheaper nodes, and two of them for a job."""
    checkout.configure(
        compute__max_node_count=4,
        compute__vm_size="Standard_E4s_v5",
        compute__vm_priority="LowPriority",
        deployments__digits__resources={"instance_count": 2},
    )


def endpoint(checkout: Checkout) -> None:
    """Another name of the endpoint: the old address goes, and all that is below it is made anew."""
    checkout.configure(endpoint__name="digits-for-all")


def nothing(_: Checkout) -> None:
    """No change."""


def refused(checkout: Checkout) -> None:
    """Settings that cannot be."""
    checkout.configure(deployments__digits__mini_batch_size=0)


CHANGES: dict[str, Callable[[Checkout], None]] = {
    "new-code": new_code,
    "settings": settings,
    "compute": compute,
    "endpoint": endpoint,
    "nothing": nothing,
    "refused": refused,
}


def sealed(checkout: Checkout) -> str:
    """A secret as it stands in a stack file, under the passphrase of the checkout's lab."""
    phrase = (checkout.lab.home / "passphrase").read_text(encoding="utf-8")
    copy = yaml.safe_load((checkout.lab.home / "project" / "Pulumi.lab.yaml").read_text(encoding="utf-8"))
    return Passphrase(phrase, copy["encryptionsalt"]).encrypt(SECRET)


def record(engine: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        checkout = Checkout(Path(folder), engine)
        try:
            _write(engine, "first-up", checkout)
            checkout.succeed("up")
            for kind, change in CHANGES.items():
                saved = {name: Path(folder) / "saved" / name for name in ("stacks", "examples")}
                for name, place in saved.items():
                    shutil.copytree(checkout.folder / name, place, dirs_exist_ok=True)
                change(checkout)
                _write(engine, kind, checkout)
                for name, place in saved.items():
                    shutil.rmtree(checkout.folder / name)
                    shutil.move(place, checkout.folder / name)
            checkout.succeed("destroy")
        finally:
            checkout.lab.stop()


def _write(engine: str, kind: str, checkout: Checkout) -> None:
    ran = checkout.run("preview", "--json", "--show-sames")
    begin = ran.said.index("\n{") + 1
    document, _ = json.JSONDecoder().raw_decode(ran.said.replace(str(checkout.folder), "/checkout"), begin)
    document = _kept(document)
    lines = [f"{json.dumps(key)}: {_lines(each)}" for key, each in document.items()]
    (FOLDER / f"{engine}-{kind}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{engine} {kind}: exit code {ran.code}, {len(document.get('steps') or [])} steps")


def _kept(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _kept(each) for key, each in value.items() if key not in _OF_THIS_MACHINE}
    return [_kept(each) for each in value] if isinstance(value, list) else value


def _lines(value: Any) -> str:
    """One line for each step, so that a recording can be read and compared."""
    if isinstance(value, list):
        return "[\n" + ",\n".join(json.dumps(each, ensure_ascii=False) for each in value) + "\n]"
    return json.dumps(value, ensure_ascii=False)


def write_comments() -> None:
    """The comment on every recording, as tests compare it: `python -m tests.reviews.record comments`, seconds."""
    for kind in (*KINDS, *OTHERS):
        golden(kind).write_text(commented(kind), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["comments"]:
        for name in sys.argv[1:] or engines():
            record(name)
    write_comments()

"""A small Pulumi project for the engine's tests: a program that builds what `wish.json` says, and a cloud of files.

`make_project` writes it; `wish` describes the next run's resources. Nothing here is imported by the engine.
"""

from __future__ import annotations

import functools
import json
import textwrap
from pathlib import Path
from typing import Any

from lab.engine.passphrase import Passphrase
from lab.identity import SUBSCRIPTION_ID

PROJECT = "trial"
STACK = "lab"
PHRASE = "a phrase"

THINGS = '''
"""A dynamic provider over files: cloud/<name>.json is an object, calls.txt is what the provider was asked."""
import json, os, pathlib, sys, time
from pulumi.dynamic import (CheckFailure, CheckResult, CreateResult, DiffResult, ReadResult, ResourceProvider,
                            UpdateResult)
from pulumi.output import Unknown

HOME = pathlib.Path(__file__).parent
HIDDEN = ("__provider",)

def shown(value):
    if isinstance(value, Unknown):
        return "<unknown>"
    if isinstance(value, dict):
        return {k: shown(v) for k, v in sorted(value.items()) if k not in HIDDEN}
    return [shown(v) for v in value] if isinstance(value, list) else value

def log(*call):
    with open(HOME / "calls.txt", "a") as file:
        file.write(json.dumps(shown(list(call))) + "\\n")

def unready(ident, outputs, reasons):
    """Say ErrorResourceInitFailed in the way of a provider that speaks the protocol."""
    import asyncio
    from google.protobuf import any_pb2
    from google.rpc import status_pb2
    from pulumi.runtime import proto, rpc
    frame = sys._getframe()
    while not ("context" in frame.f_locals and "request" in frame.f_locals):
        frame = frame.f_back
    failed = proto.ErrorResourceInitFailed(id=ident, reasons=reasons)
    failed.properties.update(outputs)
    detail = any_pb2.Any()
    detail.Pack(failed)
    status = status_pb2.Status(code=2, message="not ready", details=[detail])
    frame.f_locals["context"].set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    raise Exception("not ready")

def wait_for(name):
    """Hold a call until the test makes the file `name`; the call says that it has begun."""
    (HOME / f"{name}.begun").touch()
    end = time.time() + 300
    while not (HOME / name).exists() and time.time() < end:
        time.sleep(0.01)

def meet(operation, name, when="first"):
    """Do what the test planned for this call of this object: fail, or be held before or after the work."""
    plan = HOME / "plans" / f"{operation}-{name}"
    planned = plan.read_text() if plan.exists() else ""
    if (planned, when) == ("fail", "first"):
        raise Exception(f"cannot {operation} {name}")
    if planned == f"hold {when}":
        wait_for("plans/go")

def identity(name):
    """The name itself, or where the test wants it another one for each creation: name-1, name-2, ..."""
    if not (HOME / "numbers").exists():
        return name
    count = HOME / "numbers" / name
    count.write_text(str(int(count.read_text()) + 1 if count.exists() else 1))
    return f"{name}-{count.read_text()}"

class Things(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, olds, news):
        log("check", olds, news)
        failures = [CheckFailure(key, "must not be bad") for key, value in news.items() if value == "bad"]
        return CheckResult(news, failures)

    def diff(self, ident, olds, news):
        log("diff", ident, olds, news)
        changed = sorted(k for k in {*olds, *news} - {"__provider", "made", "twice", "kept"}
                         if isinstance(news.get(k), Unknown) or olds.get(k) != news.get(k))
        if "undecided" in news:
            return DiffResult()
        return DiffResult(changes=bool(changed), replaces=[k for k in changed if k.startswith("fixed")],
                          delete_before_replace=bool(news.get("first")))

    def create(self, props):
        log("create", props)
        name = props["name"]
        if "slow" in props:
            print("held in create", flush=True)
            wait_for(props["slow"])
        if "fail" in props:
            raise Exception(f"cannot create {name}: {props['fail']}")
        meet("create", name)
        ident = identity(name)
        outs = {**props, "made": f"made {props.get('size', 0)}", "twice": 2 * props.get("size", 0)}
        (HOME / "cloud" / f"{ident}.json").write_text(json.dumps({k: v for k, v in outs.items() if k not in HIDDEN}))
        meet("create", name, "last")
        if "unready" in props:
            unready(ident, {**outs}, ["first reason", "second reason"])
        return CreateResult(ident, outs)

    def update(self, ident, olds, news):
        log("update", ident, olds, news)
        if "fail" in news:
            raise Exception(f"cannot update {ident}: {news['fail']}")
        meet("update", news["name"])
        outs = {**news, "made": f"made {news.get('size', 0)}", "twice": 2 * news.get("size", 0)}
        if "unready" in news:
            unready(ident, {**outs}, ["still not"])
        (HOME / "cloud" / f"{ident}.json").write_text(json.dumps({k: v for k, v in outs.items() if k not in HIDDEN}))
        meet("update", news["name"], "last")
        return UpdateResult(outs)

    def delete(self, ident, props):
        log("delete", ident, props)
        if (HOME / "deny-delete").exists():
            raise Exception(f"cannot delete {ident}")
        meet("delete", props["name"])
        (HOME / "cloud" / f"{ident}.json").unlink(missing_ok=True)
        meet("delete", props["name"], "last")

    def read(self, ident, props):
        log("read", ident, props)
        if (HOME / "deny-read").exists():
            raise Exception(f"cannot read {ident}")
        meet("read", props["name"])
        path = HOME / "cloud" / f"{ident}.json"
        if not path.exists():
            return ReadResult("", {})
        live = json.loads(path.read_text())
        return ReadResult(ident, live, {k: v for k, v in live.items() if k not in ("made", "twice")})
'''

MAIN = '''
"""Build what wish.json says."""
import json, pathlib
import pulumi
from pulumi.dynamic import Resource
from things import Things

wish = json.loads((pathlib.Path(__file__).parent / "wish.json").read_text())
made = {}

class Thing(Resource):
    def __init__(self, name, props, opts):
        super().__init__(Things(), name, {"made": None, "twice": None, **props}, opts)

class Group(pulumi.ComponentResource):
    def __init__(self, name, opts):
        super().__init__("trial:index:Group", name, opts=opts)

def value(given):
    if isinstance(given, dict) and given.keys() == {"of"}:
        name, key = given["of"].split(".")
        return getattr(made[name], key)
    if isinstance(given, dict) and given.keys() == {"secret"}:
        return pulumi.Output.secret(value(given["secret"]))
    if isinstance(given, dict) and given.keys() == {"config"}:
        return pulumi.Config().require(given["config"])
    if isinstance(given, dict):
        return {key: value(item) for key, item in given.items()}
    return [value(item) for item in given] if isinstance(given, list) else given

def options(given):
    chosen = {}
    for key, item in given.items():
        if key in ("parent", "provider", "deleted_with"):
            item = made[item]
        elif key == "depends_on":
            item = [made[name] for name in item]
        elif key == "custom_timeouts":
            item = pulumi.CustomTimeouts(**item)
        elif key == "aliases":
            item = [pulumi.Alias(**alias) for alias in item]
        chosen[key] = item
    return pulumi.ResourceOptions(**chosen)

def build(item):
    opts, name = options(item.get("opts", {})), item["name"]
    if item.get("kind") == "group":
        made[name] = Group(name, opts)
        made[name].register_outputs(item.get("outputs", {}))
    elif item.get("kind") == "provider":
        made[name] = pulumi.ProviderResource("pulumi-python", name, value(item.get("props", {})), opts)
    else:
        made[name] = Thing(name, {"name": item.get("called", name), **value(item.get("props", {}))}, opts)

def finish():
    for key, item in wish.get("exports", {}).items():
        pulumi.export(key, value(item))
    for line in wish.get("says", []):
        pulumi.log.info(line)
    if "raises" in wish:
        raise ValueError(wish["raises"])
    if "calls" in wish:
        eval(wish["calls"])

async def in_order():
    """Each resource when the former one is there: nothing is left to chance."""
    for item in wish["resources"]:
        build(item)
        await made[item["name"]].urn.future()
    finish()

if wish.get("ordered"):
    pulumi.run(in_order)
else:
    for item in wish.get("resources", []):
        build(item)
    finish()
'''


def thing(name: str, /, opts: dict[str, Any] | None = None, *, called: str = "", **props: Any) -> dict[str, Any]:
    """`called` is its name in the cloud, where that differs from its logical name."""
    return {"name": name, "called": called or name, "props": props, "opts": opts or {}}


def group(name: str, /, opts: dict[str, Any] | None = None, **outputs: Any) -> dict[str, Any]:
    return {"name": name, "kind": "group", "outputs": outputs, "opts": opts or {}}


def provider(name: str, /) -> dict[str, Any]:
    return {"name": name, "kind": "provider"}


@functools.cache
def salt() -> str:
    """One for all projects: making one takes a third of a second."""
    return Passphrase.new(PHRASE).salt


def make_project(directory: Path, *, salted: bool = True) -> Path:
    """A fresh project; its config names the lab's subscription."""
    (directory / "cloud").mkdir(parents=True)
    (directory / "state").mkdir()
    (directory / "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime: python\n")
    settings = f"config:\n  {PROJECT}:subscription_id: {SUBSCRIPTION_ID}\n"
    (directory / f"Pulumi.{STACK}.yaml").write_text(settings + (f"encryptionsalt: {salt()}\n" if salted else ""))
    (directory / "things.py").write_text(textwrap.dedent(THINGS))
    (directory / "__main__.py").write_text(textwrap.dedent(MAIN))
    wish(directory)
    return directory


def wish(directory: Path, *resources: dict[str, Any], **rest: Any) -> None:
    """What the next run shall find: resources, and `exports`, `says`, `raises`, `calls`, `ordered`."""
    (directory / "wish.json").write_text(json.dumps({"resources": list(resources), **rest}))


def calls(directory: Path) -> list[list[Any]]:
    """What the provider was asked since the last look, in order."""
    path = directory / "calls.txt"
    made = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    path.unlink(missing_ok=True)
    return made


def cloud(directory: Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((directory / "cloud").glob("*.json"))}

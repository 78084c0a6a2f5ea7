"""The pack as Pulumi runs it: its process answers the engine's calls, and the CLI, where there is one, obeys it."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from policy.resource import COMPUTE, DEFAULT_DEPLOYMENT, SCORING_JOB
from policy.rules import RULES
from tests.lifecycle.checkout import Checkout, engines

ROOT = Path(__file__).resolve().parents[2]
PACK = ROOT / "policy"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
needs_venv = pytest.mark.skipif(
    not (ROOT / ".venv" / "policy" / "bin" / "python").exists(), reason="`make policy` was not run here"
)


def python() -> str:
    """The interpreter that PulumiPolicy.yaml names."""
    manifest = yaml.safe_load((PACK / "PulumiPolicy.yaml").read_text(encoding="utf-8"))
    return str(PACK / manifest["runtime"]["options"]["virtualenv"] / "bin" / "python")


@pytest.fixture(scope="module")
def analyzer() -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    """The pack's process, started as the language host of the CLI starts it."""
    command = [python(), "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(PACK)]
    with subprocess.Popen(command, cwd=PACK, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.kill()


def configure(analyzer: Any, settings: Mapping[str, Mapping[str, Any]]) -> None:
    config = {
        name: analyzer_pb2.PolicyConfig(
            enforcementLevel=analyzer_pb2.MANDATORY, properties=json_format.ParseDict(dict(each), _struct())
        )
        for name, each in settings.items()
    }
    analyzer.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig=config))


def _struct() -> Any:
    from google.protobuf import struct_pb2

    return struct_pb2.Struct()


def asked(type_: str, props: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": type_,
        "name": "it",
        "urn": f"urn:pulumi:lab::p::{type_}::it",
        "properties": json_format.ParseDict(dict(props), _struct()),
        "options": analyzer_pb2.AnalyzerResourceOptions(),
        **more,
    }


def cluster(nodes: Any) -> dict[str, Any]:
    scale = {"minNodeCount": 0, "maxNodeCount": nodes}
    return {
        "properties": {"computeType": "AmlCompute", "properties": {"scaleSettings": scale}},
        "tags": {"pulumi-stack-owner": UNKNOWN},
    }


@needs_venv
def test_the_pack_tells_its_policies_and_their_settings(analyzer: Any) -> None:
    info = analyzer.GetAnalyzerInfo(empty_pb2.Empty())

    assert [(each.name, each.description) for each in info.policies] == [(r.name, r.description) for r in RULES]
    schemas = {each.name: json_format.MessageToDict(each.configSchema.properties) for each in info.policies}
    assert schemas["maximum-of-nodes"]["nodes"]["default"] == 8
    assert all(each.enforcementLevel == analyzer_pb2.MANDATORY for each in info.policies)


@needs_venv
@pytest.mark.parametrize(("nodes", "most", "refused"), [(9, 8, 1), (8, 8, 0), (3, 2, 1), (UNKNOWN, 2, 0)])
def test_a_resource_is_looked_at_with_the_settings_of_its_policy(
    analyzer: Any, nodes: Any, most: int, refused: int
) -> None:
    configure(analyzer, {"maximum-of-nodes": {"nodes": most}})

    answer = analyzer.Analyze(analyzer_pb2.AnalyzeRequest(**asked(COMPUTE, cluster(nodes))))

    said = [each.message for each in answer.diagnostics if each.policyName == "maximum-of-nodes"]
    assert len(said) == refused
    assert all(f"it may grow to {nodes} nodes, {most} are allowed" in each for each in said)
    assert not [each for each in answer.diagnostics if each.policyName != "maximum-of-nodes"]


@needs_venv
@pytest.mark.parametrize(("gated", "verdict", "said"), [(True, "passed", ""), (True, UNKNOWN, ""), (False, "", "wait")])
def test_a_stack_is_looked_at_as_a_whole(analyzer: Any, gated: bool, verdict: str, said: str) -> None:
    on = {"deployment_name": "d", "endpoint_id": "/e"}
    job = analyzer_pb2.AnalyzerResource(**asked(SCORING_JOB, {**on, "verdict": verdict}))
    default = analyzer_pb2.AnalyzerResource(**asked(DEFAULT_DEPLOYMENT, on), dependencies=[job.urn] if gated else [])

    answer = analyzer.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=[job, default]))

    assert [said in each.message for each in answer.diagnostics] == [True] * bool(said)


@needs_venv
@pytest.mark.skipif("pulumi" not in engines(), reason="no `pulumi` on PATH, and policies are its alone")
def test_the_cli_refuses_what_a_policy_refuses(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, "pulumi")
    config = tmp_path / "policies.json"
    config.write_text(json.dumps({"maximum-of-nodes": {"nodes": 1}}), encoding="utf-8")
    try:
        good = checkout.run("preview", "--policy-pack", "policy", "--policy-pack-config", "policy/config.json")
        bad = checkout.run("preview", "--policy-pack", "policy", "--policy-pack-config", str(config))
    finally:
        checkout.lab.stop()

    assert good.code == 0, good
    assert bad.code != 0
    assert "maximum-of-nodes" in bad.said
    assert "cpu may grow to 2 nodes, 1 are allowed; set `max_node_count: 1` or less" in bad.said

"""A provider plugin, as an executable on PATH: package `nimbus`, with previews, secrets, detailed diffs, a function."""

from __future__ import annotations

import sys
from pathlib import Path

PLUGIN = '''#!{python}
"""pulumi-resource-nimbus: one type, `nimbus:index:Cloud`, and one function, `nimbus:index:forecast`."""
import json, os, sys, time
from concurrent import futures
import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2 as pb, provider_pb2_grpc

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

def log(*call):
    with open("calls.txt", "a") as file:
        file.write(json.dumps(list(call)) + "\\n")

def plain(struct):
    return json_format.MessageToDict(struct)

def struct(values):
    made = struct_pb2.Struct()
    made.update(values)
    return made

class Nimbus(provider_pb2_grpc.ResourceProviderServicer):
    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version="1.2.3")

    def CheckConfig(self, request, context):
        log("check-config", plain(request.news))
        return pb.CheckResponse(inputs=request.news)

    def DiffConfig(self, request, context):
        changed = plain(request.olds) != plain(request.news)
        return pb.DiffResponse(changes=2 if changed else 1, replaces=["region"] if changed else [])

    def Configure(self, request, context):
        log("configure", plain(request.args), dict(request.variables))
        return pb.ConfigureResponse(acceptSecrets=True, supportsPreview=True, acceptResources=False)

    def Check(self, request, context):
        log("check", plain(request.olds), plain(request.news))
        return pb.CheckResponse(inputs=request.news)

    def Diff(self, request, context):
        olds, news = plain(request.old_inputs), plain(request.news)
        log("diff", olds, news)
        detailed = {{}}
        for key in sorted({{*olds, *news}}):
            if olds.get(key) != news.get(key):
                kind = "UPDATE" if key in olds and key in news else "ADD" if key in news else "DELETE"
                detailed[key] = pb.PropertyDiff(kind=kind + ("_REPLACE" if key == "shape" else ""), inputDiff=True)
        return pb.DiffResponse(changes=2 if detailed else 1, detailedDiff=detailed, hasDetailedDiff=True,
                               diffs=list(detailed), replaces=[k for k in detailed if k == "shape"],
                               deleteBeforeReplace="shape" in detailed)

    def Create(self, request, context):
        log("create", plain(request.properties), request.timeout, request.preview)
        outs = plain(request.properties)
        outs["rain"] = UNKNOWN if request.preview else 3
        return pb.CreateResponse(id="" if request.preview else "cloud-1", properties=struct(outs))

    def Update(self, request, context):
        log("update", plain(request.olds), plain(request.news), request.preview)
        return pb.UpdateResponse(properties=struct({{**plain(request.news), "rain": 3}}))

    def Read(self, request, context):
        log("read", request.id, plain(request.inputs))
        return pb.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Delete(self, request, context):
        log("delete", request.id)
        return empty_pb2.Empty()

    def Invoke(self, request, context):
        log("invoke", request.tok, plain(request.args))
        if plain(request.args).get("day") == "doomsday":
            return pb.InvokeResponse(failures=[pb.CheckFailure(property="day", reason="no weather then")])
        made = pb.InvokeResponse()
        getattr(made, "return").CopyFrom(struct({{"sun": True, **plain(request.args)}}))
        return made

    def Cancel(self, request, context):
        return empty_pb2.Empty()

server = grpc.server(futures.ThreadPoolExecutor(4))
provider_pb2_grpc.add_ResourceProviderServicer_to_server(Nimbus(), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
'''

MAIN = '''
"""A cloud, what its provider's function says, and what it becomes."""
import json, pathlib
import pulumi

wish = json.loads((pathlib.Path(__file__).parent / "wish.json").read_text())

class Cloud(pulumi.CustomResource):
    rain: pulumi.Output
    def __init__(self, name, props, opts=None):
        opts = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version="1.2.3"), opts)
        super().__init__("nimbus:index:Cloud", name, {"rain": None, **props}, opts)

opts = None
if "region" in wish:
    opts = pulumi.ResourceOptions(provider=pulumi.ProviderResource(
        "nimbus", "mine", {"region": wish["region"]}, pulumi.ResourceOptions(version="1.2.3")))
props = dict(wish["props"])
if "key" in props:
    props["key"] = pulumi.Output.secret(props["key"])
cloud = Cloud("c", props, opts)
Cloud("d", {"drops": cloud.rain}, opts)
said = pulumi.runtime.invoke("nimbus:index:forecast", {"day": wish["day"]}, pulumi.InvokeOptions(version="1.2.3"))
pulumi.export("said", said.value)
pulumi.export("rain", cloud.rain)
'''


def install(directory: Path) -> Path:
    """Put the plugin into the project's `bin` and the program in place of the former; the result goes on PATH."""
    path = directory / "bin" / "pulumi-resource-nimbus"
    path.parent.mkdir()
    path.write_text(PLUGIN.format(python=sys.executable))
    path.chmod(0o755)
    (directory / "__main__.py").write_text(MAIN)
    return path.parent

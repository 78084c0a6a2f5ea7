"""`python -m lab.azure_native [ENGINE_ADDRESS]`: the stand-in for the azure-native plugin; first prints its port."""

import os
import signal
from concurrent import futures

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from lab.azure_native.provider import Provider

LARGEST_MESSAGE = 400 * 1024 * 1024
"""Bytes, as in Pulumi's own plugins."""


def serve(provider: Provider) -> tuple[grpc.Server, int]:
    """Starts a server on a free port of this machine."""
    sizes = [(f"grpc.max_{way}_message_length", LARGEST_MESSAGE) for way in ("send", "receive")]
    # The engine's own `--parallel` is the real bound.
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=64), options=sizes)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def main() -> None:
    """Serves until the engine ends this process, or is gone itself."""
    engine = os.getppid()
    # Ctrl-C reaches the whole process group; the engine decides, and tells its plugins by Cancel.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server, port = serve(Provider(os.environ))
    print(port, flush=True)
    while server.wait_for_termination(timeout=1) and os.getppid() == engine:
        pass
    server.stop(grace=None)


if __name__ == "__main__":
    main()

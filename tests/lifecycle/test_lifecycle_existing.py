"""What azure-native refuses to create because it exists is taken into the stack by the command that `up` names."""

import re
import shlex
import sys

from lab import identity
from tests.lifecycle.checkout import Checkout

COMPUTE = (
    f"/subscriptions/{identity.SUBSCRIPTION_ID}/resourceGroups/{identity.RESOURCE_GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{identity.WORKSPACE}/computes/cpu"
)
# What an interrupted `up` leaves: in Azure, and not in state.
LEFT_BEHIND = f"""
from providers.arm import client
scale = {{"minNodeCount": 0, "maxNodeCount": 2, "nodeIdleTimeBeforeScaleDown": "PT2M"}}
cluster = {{"vmSize": "Standard_DS3_v2", "vmPriority": "Dedicated", "osType": "Linux", "scaleSettings": scale}}
properties = {{"computeType": "AmlCompute", "disableLocalAuth": True, "properties": cluster}}
client().put("{COMPUTE}", {{"location": "eastus", "properties": properties}}, api_version="2025-12-01", deadline=60)
"""


def test_up_names_the_command_that_takes_what_exists(checkout: Checkout) -> None:
    checkout.lab.start()
    checkout.lab.run([sys.executable, "-c", LEFT_BEHIND], cwd=checkout.folder, check=True)

    failed = checkout.run("up")
    said = re.search(r"python -m stacks (take lab .*?), and run `up` again", failed.said)
    assert failed.code != 0
    assert said, failed
    _, _, *named = shlex.split(said[1])
    checkout.succeed("take", *named)
    checkout.succeed("up")

    assert named[1] == COMPUTE
    assert checkout.preview() == {}
    checkout.succeed("destroy")
    assert checkout.status()["computes"] == []

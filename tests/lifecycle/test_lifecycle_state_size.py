"""What a resource of ours costs in state: a stack of a hundred of them must stay a file that one can look at."""

import json
from contextlib import closing
from pathlib import Path

from bench.many_endpoints import Many
from lab.testing import running_lab

OWN = "pulumi-python:dynamic/azureml:"


def test_a_hundred_resources_have_at_most_4_kb_of_state_each(tmp_path: Path) -> None:
    with running_lab(tmp_path / "lab") as lab, closing(Many(lab, tmp_path / "project", "embedded", 34)) as many:
        many.prepare()
        many.verb("up")
        sizes = [
            len(json.dumps(each)) for each in many.state()["checkpoint"]["latest"]["resources"] if OWN in each["type"]
        ]
        many.verb("destroy")

    assert len(sizes) >= 100
    assert max(sizes) <= 4096, sorted(sizes)[-5:]

"""The comment on a preview says what a reviewer must know, the same for both engines, and no more than GitHub takes."""

import dataclasses
import re
from typing import Any

import pytest
from markdown_it import MarkdownIt

from policy.resource import Violation
from reviews.comment import LIMIT, Review, comment, marker
from reviews.content import Content, NotKnown
from reviews.preview import CREATE, DELETE, SAME, UPDATE, Change, Diagnostic, Preview
from tests.reviews.record import SECRET
from tests.reviews.recordings import ENGINES, KINDS, OTHERS, commented, golden, review

ENDPOINT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/batchEndpoints/e"
NASTY = "a|b`c``d <img src=x onerror=1> @everyone #1 [x](javascript:1)\n\n| x | y |\n# head\u202e"


def urn(kind: str, name: str) -> str:
    token = kind if ":" in kind else f"pulumi-python:dynamic/azureml:{kind}"
    return f"urn:pulumi:prod::batch-scoring::azureml:index:BatchScoring${token}::{name}"


def of(*changes: Change, **more: Any) -> str:
    return comment(dataclasses.replace(Review(Preview("prod", changes), {}), **more))


@pytest.mark.parametrize("kind", [*KINDS, *OTHERS])
def test_both_engines_give_the_comment_that_is_kept(kind: str) -> None:
    """After a change on purpose: `python -m tests.reviews.record comments`, and look at the difference."""
    comments = [comment(review(engine, kind)) for engine in ENGINES]

    assert comments == [golden(kind).read_text(encoding="utf-8")] * 2


@pytest.mark.parametrize("kind", [*KINDS, *OTHERS])
def test_no_secret_and_no_variable_of_a_script_is_shown(kind: str) -> None:
    text = commented(kind)

    assert SECRET not in text
    assert "3 | `x`" not in text
    assert "API_PASSWORD`: *not set* → *not shown*" in text or kind != "settings"


def test_what_looks_like_a_secret_is_hidden_wherever_it_comes_from() -> None:
    text = of(said="error: GET https://a.blob.core.windows.net/c/b?sv=1&sig=abc%2Fdef failed")

    assert "abc%2Fdef" not in text
    assert "sig=<hidden>" in text


def test_deletions_come_before_all_other_changes() -> None:
    text = commented("new-code")

    assert re.search(r"Preview of stack `lab`: 3 to delete, 3 to create, 2 to update", text)
    assert text.index("#### Deleted") < text.index("#### Created and changed")
    rows = re.findall(r"^\| − delete \| (\w+)", text, re.MULTILINE)
    assert rows[0] == "BatchDeployment"


def test_new_code_is_a_new_deployment_beside_the_old_and_the_files_are_named() -> None:
    text = commented("new-code")

    assert "default deployment of `batch-scoring-b9ebd836`: `digits-00233e2a` → **`digits-" in text
    assert (
        "beside `batch-scoring-b9ebd836-digits-00233e2a`, which serves on meanwhile: `code_configuration` changed"
        in text
    )
    assert "| ~ changed | `score.py` | 3,825 → 3,837 bytes |" in text
    assert "| + added | `labels.txt` | 13 bytes |" in text
    assert re.search(r"smoke job `[\w-]+` on `digits-\w+`: 180 files \(22\.3 kB\) in 8 mini-batches, 1 node of ", text)


def test_nodes_their_size_and_priority_are_told_before_and_after() -> None:
    text = commented("compute")

    assert "| `cpu` | most nodes | `2` → **`4`** |" in text
    assert "2 × Standard_DS3_v2 (Dedicated) → 4 × Standard_E4s_v5 (LowPriority)" in text
    assert "1 node of Standard_E4s_v5" in text


def test_an_address_that_goes_is_said_first_and_plainly() -> None:
    text = commented("endpoint")

    first = next(line for line in text.splitlines() if "| − delete" in line)
    assert "**its address goes**: callers of `batch-scoring-b9ebd836` will get 404" in first
    assert "default deployment of `batch-scoring-b9ebd836`: `digits-00233e2a` → **none**" in text


def test_a_failed_preview_tells_what_the_engine_said() -> None:
    text = commented("refused")

    assert "### Preview of stack `lab` failed" in text
    assert "deployments.digits.mini_batch_size: must be at least 1, got 0" in text
    assert "Nothing was changed." in text


def test_a_default_without_a_gate_is_told() -> None:
    default = Change(
        UPDATE,
        urn("DefaultDeployment", "default"),
        {"deployment_name": "d-1", "endpoint_id": ENDPOINT},
        {"deployment_name": "d-2", "endpoint_id": ENDPOINT},
    )

    assert "`e`: `d-1` → **`d-2`**, **no smoke job stands before it**" in of(default)


def test_a_gate_counts_only_where_the_default_waits_for_it() -> None:
    job = Change(CREATE, urn("ScoringJob", "smoke-1"), None, {"deployment_name": "d-2", "endpoint_id": ENDPOINT})
    new = {"deployment_name": "d-2", "endpoint_id": ENDPOINT}
    free = Change(CREATE, urn("DefaultDeployment", "default"), None, new)

    assert "no smoke job stands before it" in of(job, free)
    assert "after `smoke-1` has passed" in of(job, dataclasses.replace(free, dependencies=(job.urn,)))


def test_a_protected_resource_and_an_unfinished_one_are_marked() -> None:
    gone = Change(DELETE, urn("BatchEndpoint", "e"), {"endpoint_name": "e"}, protect=True)
    broken = Change(UPDATE, urn("BatchDeployment", "d"), {"a": 1}, {"a": 1}, init_errors=("failed",))

    text = of(gone, broken)

    assert "`e`, **protected**" in text
    assert "its last write did not end well, so it is written again" in text


def test_uploads_of_which_nothing_is_known_say_why_and_how_much_at_most() -> None:
    inputs = {"source": "code", "files": 3, "bytes": 9_000_000, "uri": "u"}
    upload = Change(CREATE, urn("BlobFolder", "code-11111111"), None, inputs)
    known = Content({}, {}, {}, {"old.py": "new.py"}, 2, 0)

    assert "at most 9.0 MB to send (3 files)" in of(upload, contents={upload.urn: NotKnown("no rights")})
    assert "which files differ is not known: no rights" in of(upload, contents={upload.urn: NotKnown("no rights")})
    text = of(upload, contents={upload.urn: known})
    assert "0 bytes to send of 9.0 MB; the rest is in the storage account (3 files)" in text
    assert "| ~ renamed | `old.py` → `new.py` |" in text


def test_violations_say_how_to_mend_them() -> None:
    text = of(violations=[Violation("maximum-of-nodes", "cpu", "u", "may grow to 9 nodes; set `max_node_count: 8`")])

    assert "- **1 policy violation**, see below" in text
    assert "| `maximum-of-nodes` | `cpu` | may grow to 9 nodes; set `max_node_count: 8` |" in text


def test_drift_is_called_drift() -> None:
    changed = Change(UPDATE, urn("BatchEndpoint", "e"), {"tags": {"a": "1"}}, {"tags": {"a": "2"}})

    assert "### Drift of stack `prod`: 1 to update" in of(changed, drift=True)
    assert "### Drift of stack `prod`: none" in of(drift=True)


@pytest.mark.parametrize("count", [13, 400, 5000])
def test_long_previews_are_folded_and_fit_into_a_comment(count: int) -> None:
    changes = [
        Change(op, urn("ModelVersion", f"{'x' * 60}-{number}"), {"uri": "a" * 300}, {"uri": "b" * 300})
        for number in range(count)
        for op in (DELETE, UPDATE)
    ]

    text = of(*changes)

    assert len(text) <= LIMIT
    assert text.count("<details>") == text.count("</details>") > 0
    assert f"{count:,} to delete" in text.replace(f"{count} to delete", f"{count:,} to delete")
    assert "more rows: the whole preview is in the log of the run" in text or count < 500


def test_a_preview_that_no_table_shortens_is_cut_and_says_so() -> None:
    errors = tuple(Diagnostic("error", "", "y" * 20_000 + str(number)) for number in range(5))

    text = comment(Review(Preview("prod", (), errors), {}, exit_code=1))

    assert len(text) <= LIMIT
    assert "cut: the whole preview is in the log of the run" in text
    assert text.count("```") == 2


def test_text_of_others_is_never_markup() -> None:
    changes = [
        Change(CREATE, urn("BlobFolder", NASTY.replace("::", "")), None, {"source": NASTY, "files": 1, "bytes": 1}),
        Change(UPDATE, urn("BatchDeployment", "d"), {"description": "x"}, {"description": NASTY, NASTY: "new"}),
    ]
    diagnostics = (Diagnostic("warning", NASTY, f"{NASTY}\n```\n</details><script>"),)

    text = comment(Review(Preview(NASTY, tuple(changes), diagnostics), {changes[0].urn: NotKnown("why not")}))
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    inline = [child for token in tokens for child in token.children or []]

    html = [token.content for token in [*tokens, *inline] if token.type.startswith("html")]
    assert [each for each in html if not re.match(r"<!-- aml|</?details>|<br>|</?summary>", each)] == []
    assert [child for child in inline if child.type in ("link_open", "image")] == []
    assert all("@everyone" not in child.content for child in inline if child.type == "text")
    rows = [len(re.findall("td_open|th_open", row)) for row in _rows([token.type for token in tokens])]
    assert set(rows) <= {3, 4}
    assert "\u202e" not in text


def _rows(types: list[str]) -> list[str]:
    return " ".join(types).split("tr_close")[:-1]


def test_the_marker_is_one_line_that_names_the_stack_and_closes_itself() -> None:
    assert marker("lab") == "<!-- aml-batch-scoring: preview of lab -->"
    assert "-->" not in marker("a-->b")[:-3]


def test_unchanged_resources_count_but_are_not_listed() -> None:
    text = of(Change(SAME, urn("BatchEndpoint", "quiet"), {}, {}))

    assert "no changes" in text
    assert "quiet" not in text


def test_each_of_several_endpoints_has_its_own_default_gate_and_nodes() -> None:
    """Both have a deployment of one name: of the same content, made from the same stack file."""
    other = ENDPOINT[:-1] + "n"
    changes = []
    for endpoint, nodes, op in ((ENDPOINT, 1, UPDATE), (other, 7, SAME)):
        short = endpoint[-1]
        deployment = {"endpoint_id": endpoint, "deployment_name": "blue-2", "resources": {"instance_count": nodes}}
        gate = {"endpoint_id": endpoint, "deployment_name": "blue-2", "key": "k", "subjects": ["blue-2"]}
        before = {"endpoint_id": endpoint, "deployment_name": "blue-1" if op == UPDATE else "blue-2"}
        after = {**before, "deployment_name": "blue-2"}
        changes += [
            Change(SAME, urn("BatchDeployment", f"{short}-blue-2"), deployment, deployment),
            Change(CREATE, urn("ScoringJob", f"{short}-smoke"), None, gate),
            Change(op, urn("DefaultDeployment", f"{short}-default"), before, after),
            Change(CREATE, urn("BatchDeployment", f"{short}-green-00000002"), None, deployment),
            Change(DELETE, urn("BatchDeployment", f"{short}-green-00000001"), deployment),
        ]

    text = of(*changes)

    assert "- default deployment of `e`: `blue-1` → **`blue-2`**" in text
    assert "default deployment of `n`" not in text
    assert re.search(r"\| `e` \| `blue-1` \| \*\*`blue-2`\*\* \|", text)
    assert "| `n` | `blue-2` | unchanged |" in text
    assert re.search(r"`e-smoke` on `blue-2`: 1 node", text)
    assert re.search(r"`n-smoke` on `blue-2`: 7 nodes", text)
    assert "retired once `e-green-00000002` is there and the default has moved" in text
    assert "retired once `n-green-00000002` is there |" in text

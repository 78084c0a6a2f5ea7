"""Inputs of every kind, made up: what people write, what the engine makes of it, unknowns, and nonsense."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast, get_args, get_origin

from hypothesis import strategies as st
from pulumi.output import Unknown

from lab import identity
from providers import schema
from providers.asset_version import CodeVersionKind, DataVersionKind, ModelVersionKind
from providers.batch_deployment import BatchDeploymentKind
from providers.batch_endpoint import BatchEndpointKind
from providers.blob_folder import BlobFolderKind
from providers.default_deployment import DefaultDeploymentKind
from providers.kind import Kind
from providers.ownership import OwnerKind
from providers.schema import Property
from providers.scoring_job import ScoringJobKind

KINDS: tuple[Kind, ...] = (
    OwnerKind(),
    BlobFolderKind(),
    CodeVersionKind(),
    ModelVersionKind(),
    DataVersionKind(),
    BatchEndpointKind(),
    BatchDeploymentKind(),
    DefaultDeploymentKind(),
    ScoringJobKind(),
)
WORKSPACE = (
    f"/subscriptions/{identity.SUBSCRIPTION_ID}/resourceGroups/{identity.RESOURCE_GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{identity.WORKSPACE}"
)
ENDPOINT = f"{WORKSPACE}/batchEndpoints/ept-1"
DATASTORE = (
    f"azureml://subscriptions/{identity.SUBSCRIPTION_ID}/resourcegroups/{identity.RESOURCE_GROUP}"
    f"/workspaces/{identity.WORKSPACE}/datastores/workspaceblobstore/paths"
)


def any_case(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from([text, text.upper(), text.lower()])


letters_and_digits = "abcXYZ019"
durations = st.sampled_from(["30s", "PT30S", "5m", "2h", "P1D", "pt1m30s", "1.5s", "500ms", "1 m", "PT0S"])
words = st.text(max_size=12)
names = st.from_regex(r"[a-zA-Z](-?[a-zA-Z0-9]){2,12}", fullmatch=True)
texts = st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=3)
# Tag names have their own rules at the service (no <>%&\?/), which none of its answers or specifications tell.
tags = st.dictionaries(st.text("abc-_.", min_size=1, max_size=8), st.text(max_size=8), max_size=3)
MARKER = "p/s/0123456789abcdef"
ENVIRONMENT = f"{WORKSPACE}/environments/env/versions/1"
# What people write, by the property's name: ids are those of things that the lab of these tests has.
WRITTEN: Mapping[str, st.SearchStrategy[Any]] = {
    "cloud": st.just("public"),
    "api_version": st.sampled_from(["2025-12-01", "2024-10-01"]),
    "deadline": durations,
    "timeout": durations,
    "workspace_id": any_case(WORKSPACE) | st.just(WORKSPACE),
    "endpoint_id": st.just(ENDPOINT),
    "endpoint_name": names,
    "deployment_name": names,
    "asset_name": st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,20}", fullmatch=True),
    "version": st.sampled_from(["1", "7", "2024", "0", "v1", "1.0.2", "2024-01-01", "a b", "a/b", "x?y", "..", ""]),
    "location": st.sampled_from(["eastus", "East US"]),
    "uri": st.sampled_from([f"{DATASTORE}/a/b", f"{DATASTORE}/model", "https://example.com/x", "azureml:x"]),
    "input_uri": st.sampled_from(
        [
            f"{DATASTORE}/in",
            "azureml://datastores/workspaceblobstore/paths/in/",
            "https://labstore.blob.core.windows.net/data/in",
            f"{WORKSPACE}/data/d/versions/1",
            "azureml:d:1",
            "in",
            "",
        ]
    ),
    "output_file_name": st.sampled_from(["predictions.csv", "p", "a/b.csv", "../p.csv", "", "ü.csv", "a b.csv"]),
    "output_uri": st.sampled_from([f"{DATASTORE}/a/b", "nowhere"]),
    "owner": st.just(MARKER),
    "compute": st.sampled_from([f"{WORKSPACE}/computes/cpu", f"{WORKSPACE}/computes/cpu".upper(), "cpu"]),
    "environment_id": st.sampled_from(
        [ENVIRONMENT, "azureml:env:1", "azureml://registries/r/environments/e/versions/1"]
    ),
    "code_id": st.sampled_from([f"{WORKSPACE}/codes/code/versions/1", "code"]),
    "asset_id": st.sampled_from([f"{WORKSPACE}/models/model/versions/1", "azureml:m:1"]),
    "datastore_id": st.just(f"{WORKSPACE}/datastores/workspaceblobstore"),
    "job_id": st.just(f"{WORKSPACE}/jobs/j"),
    "scoring_script": st.sampled_from(["score.py", "src/score.py", "../score.py", "/x", ""]),
    "tags": tags,
}


@functools.cache
def anything() -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.builds(Unknown),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    )


def written(declaration: Property, member: Callable[[Property], st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """What people write for a property; `member` makes the values of nested ones."""
    kind = declaration.type
    if declaration.name in WRITTEN:
        return WRITTEN[declaration.name]
    if declaration.choices:
        return st.sampled_from(declaration.choices).flatmap(any_case)
    if dataclasses.is_dataclass(kind):
        return bags(cast(type, kind), member)
    origin = get_origin(kind)
    if origin is not None and issubclass(cast(type, origin), Mapping):
        return texts if get_args(kind)[-1] is str else st.dictionaries(words, words | st.integers(), max_size=2)
    if origin is not None and issubclass(cast(type, origin), Sequence):
        return st.lists(words, max_size=3)
    return {
        bool: st.booleans(),
        # Numbers come as floats over the engine's protocol.
        int: st.integers(-2, 60).flatmap(lambda number: st.sampled_from([number, float(number)])) | st.just(10.7),
        float: st.floats(allow_nan=False),
        str: words,
    }.get(kind, words)


@functools.cache
def well_meant(declaration: Property) -> st.SearchStrategy[Any]:
    return written(declaration, well_meant)


@functools.cache
def wild(declaration: Property) -> st.SearchStrategy[Any]:
    return st.one_of(written(declaration, wild), written(declaration, wild), st.builds(Unknown), anything())


def bags(
    kind: type, member: Callable[[Property], st.SearchStrategy[Any]], *, complete: bool = True
) -> st.SearchStrategy[dict[str, Any]]:
    """Property bags of a kind; with `complete`, all that is required is there."""
    declared = schema.properties(kind)
    values = {name: st.deferred(lambda each=each: member(each)) for name, each in declared.items()}  # type: ignore[misc]
    required = {name: values[name] for name, each in declared.items() if each.required and complete}
    optional = {name: each for name, each in values.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


@functools.cache
def well_meant_inputs(kind: Kind) -> st.SearchStrategy[dict[str, Any]]:
    """What a person may write, right or nearly so."""
    return bags(kind.args, well_meant)


@functools.cache
def wild_inputs(kind: Kind) -> st.SearchStrategy[dict[str, Any]]:
    """Whatever may arrive: things left out, made up, unknown, of another type."""
    surprise = st.dictionaries(st.sampled_from(["surprise", "mini_batchsize", "", "a.b"]), anything(), max_size=1)
    return st.builds(
        lambda bag, more: {**bag, **more}, bags(kind.args, wild) | bags(kind.args, wild, complete=False), surprise
    )

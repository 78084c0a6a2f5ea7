"""Each entry of the table of errors, provoked: by what Azure is known to say, or by this project's own refusal."""

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from providers import explanations, schema
from providers.aml.datastore import locate
from providers.aml.refusal import Refusal
from providers.aml.workspace import Workspace
from providers.arm import errors
from providers.arm.clouds import PUBLIC
from providers.arm.errors import ArmError, error_of
from providers.asset_version import ModelVersionKind
from providers.batch_deployment import BatchDeploymentKind
from providers.batch_endpoint import BatchEndpointKind
from providers.blob import BlobError, scan
from providers.blob.errors import blob_error
from providers.default_deployment import DefaultDeploymentKind
from providers.dynamic_host import InitFailed
from providers.explanations import Explanation, entries, explain, told
from providers.kind import Kind, client
from providers.ownership import TAG
from tests.providers.far_side import OWNER, SHARED, WORKSPACE, FarSide

ROOT = Path(__file__).resolve().parents[2]
ENDPOINT = f"{WORKSPACE}/batchEndpoints/digits-1"
VALIDATION = (
    "The Endpoint request provided has the following validation errors. Please resolve them and try again. Errors: "
    '[{"PropertyName": "Tags", "ErrorMessage": "Tag values must not be null or empty", "AttemptedValue": null, '
    '"ErrorCode": "PredicateValidator"}]'
)

# Entry -> (status, code on top, innermost code or "", message): what Azure answers to the PUT of an endpoint.
# Words are those of the service where they are published, see the module's docstring; codes of the lab are its own.
ANSWERS: list[tuple[str, int, str, str, str]] = [
    ("empty-tag-values", 400, "UserError", "ValidationError", VALIDATION),
    ("endpoint-name-taken", 400, "UserError", "", "There is already an endpoint with this name"),
    ("endpoint-name-taken", 409, "UserError", "EndpointNameAlreadyExists", "taken"),
    ("workspace-soft-deleted", 400, "BadRequest", "", "Soft-deleted workspace exists. Please purge or recover it."),
    ("vault-soft-deleted", 409, "ConflictError", "", "A vault with the same name already exists in deleted state."),
    ("name-taken-in-azure", 409, "StorageAccountAlreadyTaken", "", "The storage account named x is already taken."),
    ("name-taken-in-azure", 409, "VaultAlreadyExists", "", "The vault name 'x' is already in use."),
    ("role-assigned-already", 409, "RoleAssignmentExists", "", "The role assignment already exists."),
    ("principal-not-found", 400, "PrincipalNotFound", "", "Principal x does not exist in the directory."),
    ("purge-protected", 409, "Conflict", "", "The vault has purge protection enabled"),
    ("name-deleted-recently", 409, "UserError", "SoftDeleted", "it is soft-deleted"),
    (
        "asset-registered-with-other-content",
        400,
        "UserError",
        "",
        "Environment e with version 1 is already registered and cannot be changed.",
    ),
    ("asset-registered-with-other-content", 409, "UserError", "", "Asset paths cannot be updated."),
    ("clock-wrong", 403, "AuthenticationFailed", "", "Request date header too old: 'Fri, 04 Oct 2019 18:02:12 GMT'"),
    (
        "user-assigned-identity",
        400,
        "UserError",
        "",
        "identity: user-assigned identities are not supported for batch endpoints and deployments.",
    ),
    (
        "api-version-not-available",
        400,
        "NoRegisteredProviderFound",
        "",
        "No registered resource provider found for location 'eastus' and API version '2030-01-01'",
    ),
    ("provider-not-registered", 409, "MissingSubscriptionRegistration", "", "is not registered to use namespace"),
    ("quota", 400, "UserError", "QuotaExceeded", "The limit of 100 endpoints per subscription and region is reached."),
    ("quota", 400, "UserError", "", "Operation results in exceeding quota limits of Core. insufficient cores quota"),
    ("workspace-role-missing", 403, "AuthorizationFailed", "", "The client 'x' does not have authorization to"),
    ("policy", 403, "RequestDisallowedByPolicy", "", "Resource 'e' was disallowed by policy."),
    (
        "locked",
        409,
        "ScopeLocked",
        "",
        "The scope cannot perform write operation because following scope(s) are locked",
    ),
    ("subscription-not-found", 404, "SubscriptionNotFound", "", "The subscription 's' could not be found."),
    ("resource-group-not-found", 404, "ResourceGroupNotFound", "", "Resource group 'g' could not be found."),
    (
        "workspace-not-found",
        404,
        "ResourceNotFound",
        "",
        "The Resource 'Microsoft.MachineLearningServices/workspaces/w' under resource group 'g' was not found.",
    ),
    ("region", 400, "LocationNotAvailableForResourceType", "", "The provided location 'x' is not available"),
    (
        "default-deployment-in-use",
        409,
        "UserError",
        "",
        "The deployment 'd' is the default deployment of the endpoint 'e' and cannot be deleted.",
    ),
    (
        "default-deployment-missing",
        400,
        "UserError",
        "DeploymentNotFound",
        "The default deployment 'd' does not exist in the endpoint 'e'.",
    ),
    ("no-valid-deployments", 404, "UserError", "", "No valid deployments to route to. Please check that"),
    ("wrong-tenant", 401, "InvalidAuthenticationTokenTenant", "", "The access token is from the wrong issuer"),
    ("sign-in", 401, "InvalidAuthenticationToken", "", "The access token is invalid."),
    ("forbidden", 403, "Forbidden", "", "no"),
    ("conflict", 409, "UserError", "", "The endpoint 'e' is Failed; a deployment needs one that has succeeded."),
    ("throttled", 429, "TooManyRequests", "", "slow down"),
    ("service-trouble", 503, "ServerBusy", "", "later"),
    ("not-found", 404, "UserError", "EndpointNotFound", "An endpoint with the name 'e' does not exist"),
    ("refused-by-the-service", 400, "UserError", "InvalidEndpointName", "The endpoint name 'x' is not valid."),
]
# Entry -> (status, code) of blob storage: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
BLOB_ANSWERS = [
    ("blob-role-missing", 403, "AuthorizationPermissionMismatch"),
    ("storage-network", 403, "AuthorizationFailure"),
    ("shared-keys-forbidden", 403, "KeyBasedAuthenticationNotPermitted"),
    ("storage-sign-in", 401, "InvalidAuthenticationInfo"),
    ("container-missing", 404, "ContainerNotFound"),
    ("storage-disabled", 409, "AccountIsDisabled"),
    ("blob-immutable", 409, "BlobImmutableDueToPolicy"),
    ("upload-collision", 409, "StrangerInUpload"),
    ("blob-storage", 400, "InvalidUri"),
]


def put_an_endpoint(**given: Any) -> None:
    values = {"workspace_id": WORKSPACE, "endpoint_name": "digits-1", "location": "eastus", "owner": OWNER}
    BatchEndpointKind().create(checked(BatchEndpointKind(), **{**values, **given}))


def checked(kind: Kind, **values: Any) -> dict[str, Any]:
    bag, failures = schema.check(kind.args, {**SHARED, **values})
    assert failures == []
    return bag


def says(method: str, answer: Callable[[], httpx.Response]) -> Callable[[str, str], httpx.Response | None]:
    """A far side that answers each request of that method so."""
    return lambda asked, path: answer() if asked == method else None


def envelope(code: str, inner: str, message: str) -> dict[str, Any]:
    info = [{"type": "InnerError", "info": {"value": {"code": "BadArgument", "innerError": {"code": inner}}}}]
    return {"error": {"code": code, "message": message, "additionalInfo": info if inner else []}}


@pytest.mark.parametrize(("name", "status", "code", "inner", "message"), ANSWERS, ids=[each[0] for each in ANSWERS])
def test_what_azure_says_is_explained(
    far_side: FarSide, name: str, status: int, code: str, inner: str, message: str
) -> None:
    far_side.before = says("PUT", lambda: httpx.Response(status, json=envelope(code, inner, message)))

    with pytest.raises(ArmError) as raised:
        put_an_endpoint()

    first, second = told(raised.value).splitlines()
    assert code in first
    assert ENDPOINT in first
    assert second.startswith("-> ")
    assert second.endswith(f"(docs/errors.md#{name})")


@pytest.mark.parametrize(("name", "status", "code"), BLOB_ANSWERS, ids=[each[0] for each in BLOB_ANSWERS])
def test_what_blob_storage_says_is_explained(name: str, status: int, code: str) -> None:
    assert explain(BlobError("write blob: no", status=status, code=code)).name == name


def refused_here() -> None:
    PUBLIC.require("https://example.com/x", PUBLIC.arm_audience)


def unreachable() -> httpx.Response:
    raise httpx.ConnectError("[Errno -2] Name or service not known")


def broken() -> httpx.Response:
    raise httpx.RemoteProtocolError("Server disconnected without sending a response.")


def operation(status: str) -> Callable[[str, str], httpx.Response | None]:
    """A PUT that begins an operation, which then says `status` for good."""
    url = "https://management.azure.com/subscriptions/s/operations/o?api-version=1"

    def answer(method: str, path: str) -> httpx.Response | None:
        if method == "PUT":
            return httpx.Response(201, json={"id": path, "properties": {}}, headers={"Azure-AsyncOperation": url})
        if path.endswith("/operations/o"):
            return httpx.Response(200, json={"status": status, "error": {"code": "UserError", "message": "why"}})
        return None

    return answer


def busy() -> httpx.Response:
    return httpx.Response(409, json=envelope("Conflict", "AnotherOperationInProgress", "wait"))


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("unreachable", says("PUT", unreachable)),
        ("answer-lost", says("PUT", broken)),
        ("not-azure", says("PUT", lambda: httpx.Response(200, text="<html><title>Sign in</title></html>"))),
        ("still-running", operation("Updating")),
        ("operation-failed", operation("Failed")),
        ("still-running", says("PUT", busy)),
        ("throttled", says("PUT", lambda: httpx.Response(429, headers={"Retry-After": "86400"}))),
        ("service-trouble", says("PUT", lambda: httpx.Response(503, headers={"Retry-After": "86400"}))),
    ],
)
def test_trouble_on_the_way_is_explained(
    far_side: FarSide, name: str, before: Callable[[str, str], httpx.Response | None]
) -> None:
    far_side.before = before

    with pytest.raises((ArmError, InitFailed)) as raised:
        put_an_endpoint(deadline="2m")

    assert explain(raised.value).name == name


def test_failures_of_other_doors_are_explained(tmp_path: Path) -> None:
    """Sign-in and the network below blob storage's SDK, a folder that is not there, a host that is not Azure's."""
    assert explain(blob_error(ServiceRequestError("no route"), "write blob", "x")).name == "unreachable"
    assert explain(blob_error(ClientAuthenticationError("no"), "write blob", "x")).name == "sign-in"
    for said in ("AADSTS700213: No matching federated identity record", "h answered without an OpenID Connect token"):
        assert explain(errors.Unauthorized(f"could not sign in: {said}", code="x")).name == "federated-sign-in"
    assert explain(error_of(409, {}, json.dumps(envelope("OperationInProgress", "", "wait")))).name == "busy"
    with pytest.raises(ValueError, match="no such folder") as missing:
        scan(str(tmp_path / "none"))
    assert explain(missing.value).name == "local-folder"
    with pytest.raises(errors.ForeignHost) as foreign:
        refused_here()
    assert explain(foreign.value).name == "foreign-host"


def names_in_code() -> set[str]:
    """The entries that refusals in the product's code name."""
    named = set()
    for file in (path for room in ("providers", "jobs", "stacks") for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Refusal", "InitFailed"):
                named |= {
                    str(each.value.value)
                    for each in node.keywords
                    if each.arg == "name" and isinstance(each.value, ast.Constant)
                }
    return named


def test_every_refusal_names_an_entry_and_every_own_entry_is_used() -> None:
    assert names_in_code() | {"bug"} == {entry.name for entry in explanations.OWN}


def test_every_entry_of_azures_is_provoked_above() -> None:
    here = Path(__file__).read_text(encoding="utf-8")

    assert [entry.name for entry in explanations.SERVICE if f'"{entry.name}"' not in here] == []


@pytest.mark.parametrize("entry", list(entries()), ids=lambda entry: entry.name)
def test_an_entry_reads_as_half_sentences(entry: Explanation) -> None:
    for text in (entry.cause, entry.remedy):
        assert text == text.strip()
        assert not text.endswith(".")
        assert "\n" not in text
    assert entry.setting
    assert entry.name.replace("-", "").isalpha()


def test_names_are_given_once() -> None:
    names = [entry.name for entry in entries()]

    assert len(names) == len(set(names))


# ---------------------------------------------------------------- this project's own refusals


def default(name: str) -> dict[str, Any]:
    return checked(DefaultDeploymentKind(), endpoint_id=ENDPOINT, deployment_name=name, owner=OWNER)


def ours(**properties: Any) -> dict[str, Any]:
    return {"location": "eastus", "tags": {TAG: OWNER}, "properties": properties}


def refusal_of(act: Callable[[], object]) -> str:
    with pytest.raises((Refusal, InitFailed)) as raised:
        act()
    first, *_, second = told(raised.value).splitlines()
    assert first
    return second.removeprefix("-> docs/errors.md#")


def test_refusals_of_endpoints_and_deployments_are_named(far_side: FarSide) -> None:
    far_side.has(ENDPOINT, {"tags": {}, "properties": {}})
    args = {"endpoint_id": ENDPOINT, "deployment_name": "blue", "location": "eastus", "owner": OWNER}
    deployment = checked(BatchDeploymentKind(), **args)

    assert refusal_of(put_an_endpoint) == "not-ours"
    assert refusal_of(lambda: DefaultDeploymentKind().create(default("blue"))) == "endpoint-of-another-stack"
    far_side.has(f"{ENDPOINT}/deployments/blue", {"tags": {}, "properties": {}})
    assert refusal_of(lambda: BatchDeploymentKind().delete(f"{ENDPOINT}/deployments/blue", deployment)) == (
        "not-ours-to-delete"
    )
    far_side.resources.clear()
    assert refusal_of(lambda: DefaultDeploymentKind().create(default("blue"))) == "endpoint-gone"
    far_side.normalise = lambda body: {**body, "properties": {}}
    assert refusal_of(lambda: BatchDeploymentKind().create(deployment)) == "value-not-taken"
    far_side.has(ENDPOINT, ours())
    assert refusal_of(lambda: DefaultDeploymentKind().create(default("blue"))) == "default-not-taken"
    far_side.has(ENDPOINT, {**ours(), "tags": {TAG: OWNER, "empty": ""}})
    assert refusal_of(put_an_endpoint) == "empty-tags-there"


def test_refusals_of_datastores_and_workspaces_are_named(far_side: FarSide) -> None:
    uri = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/d/paths/x"

    assert refusal_of(lambda: locate(client(SHARED), uri)) == "datastore-missing"
    far_side.has(f"{WORKSPACE}/datastores/d", {"properties": {"datastoreType": "AzureFile"}})
    assert refusal_of(lambda: locate(client(SHARED), uri)) == "datastore-of-another-kind"
    assert refusal_of(lambda: Workspace(client(SHARED), WORKSPACE).api_url) == "workspace-unreadable"


def test_an_asset_of_other_content_is_named(far_side: FarSide) -> None:
    uri = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/d/paths/x"
    args = {"workspace_id": WORKSPACE, "asset_name": "digits", "version": "1", "uri": uri, "owner": OWNER}
    far_side.has(f"{WORKSPACE}/models/digits/versions/1", {"properties": {"modelUri": "other", "tags": {TAG: OWNER}}})

    assert refusal_of(lambda: ModelVersionKind().create(checked(ModelVersionKind(), **args))) == "other-content"


def test_a_bug_is_told_as_one() -> None:
    error = KeyError("socket")

    first, second = told(error).splitlines()

    assert first == "KeyError: 'socket'"
    assert "AML_BATCH_DEBUG=1" in second


def test_no_secret_is_told() -> None:
    said = told(
        Refusal(
            "see https://a.blob.core.windows.net/c?sig=abc%2Bdef&x=1 eyJhbGciOiJIUzI1.eyJzdWIiOiIx.c2ln",
            name="not-ours",
        )
    )

    assert "abc" not in said
    assert "eyJ" not in said

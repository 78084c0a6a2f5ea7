"""Errors that end the search: what an error means, which setting it is about, and what to do.

One table. `explain` finds the entry of an error by what the service said, in this order: its codes (the inner ones too:
Azure Machine Learning says `UserError` on top), its words where it has no code of its own, the kind of error. This
project's own refusals name their entry. docs/errors.md is written from the table (`python -m stacks.errors`).

Codes and words are the service's, from published traffic, documentation and issues; where only words are known (most
of Azure Machine Learning's), the words of https://github.com/Azure issues are matched, and the lab uses the same.
"""

import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass

from providers.aml.refusal import Named
from providers.arm import errors as arm
from providers.arm.errors import ArmError
from providers.arm.redact import redact
from providers.blob import BlobError, FolderError

PAGE = "docs/errors.md"


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """An entry. `cause` and `remedy` are half sentences: `-> <cause>; <remedy>`."""

    name: str
    """The anchor in docs/errors.md; a public name."""
    cause: str
    setting: str
    """The setting, property or role that it is about."""
    remedy: str
    codes: tuple[str, ...] = ()
    """Of the service, in any letter case."""
    words: str = ""
    """A regular expression, searched in the message in any letter case."""
    kinds: tuple[type[Exception], ...] = ()
    """Errors of these kinds that nothing above explains."""
    own: bool = False
    """Named by the error itself, which is this project's and says in its own words what to do."""

    def fits(self, error: Exception) -> bool:
        """Whether this is the entry of an error that does not name its own."""
        if self.own:
            return False
        codes = error.codes if isinstance(error, ArmError) else frozenset()
        if codes & {code.lower() for code in self.codes}:
            return True
        if self.words and isinstance(error, ArmError) and re.search(self.words, error.message, re.IGNORECASE):
            return True
        return isinstance(error, self.kinds)


SERVICE = (
    Explanation(
        name="clock-wrong",
        cause="this machine's clock is wrong, or an assertion or certificate in use really is outside its time; "
        "signatures, links and certificates hold for a time only",
        setting="this machine's clock; AZURE_CLIENT_CERTIFICATE_PATH, AZURE_FEDERATED_TOKEN_FILE",
        remedy="set the clock (`timedatectl set-ntp true`; virtual machines and containers of a laptop that slept: "
        "restart them), and run again: nothing else is to be mended",
        words=r"this machine's clock is \d+ \w+ (ahead of|behind) the service's|Request date header|"
        r"signature (fields )?not valid in|AADSTS700024\b|not within its valid time range|"
        r"certificate (is not yet valid|has expired)",
    ),
    Explanation(
        name="empty-tag-values",
        cause="a tag has no value: of your settings, on the endpoint, or one that an Azure Policy adds on the way",
        setting="tags, endpoint.tags, deployments.<name>.tags",
        remedy="give every tag a value, also the resource group's and subscription's that a policy hands down",
        words=r"tag values must not be null or empty",
    ),
    Explanation(
        name="endpoint-name-taken",
        cause="endpoint names are unique in a region, over all subscriptions, and somebody has this one",
        setting="endpoint.name",
        remedy="set another name, or leave it out: the default has a suffix of its own",
        codes=("EndpointNameAlreadyExists",),
        words=r"already an endpoint with this name|endpoint name .* (is taken|not available)",
    ),
    Explanation(
        name="workspace-soft-deleted",
        cause="a workspace of this name was deleted without being purged, and holds its name for 14 days",
        setting="workspace",
        remedy="purge it in the portal (Azure Machine Learning, Recently deleted), or set another name",
        words=r"soft-deleted workspace exists",
    ),
    Explanation(
        name="vault-soft-deleted",
        cause="a deleted key vault holds this name",
        setting="foundation.key_vault",
        remedy="purge it by `az keyvault purge --name <name>`, or set another name",
        codes=("VaultAlreadySoftDeleted",),
        words=r"vault with the same name already exists in deleted state",
    ),
    Explanation(
        name="name-taken-in-azure",
        cause="names of storage accounts, key vaults and registries are unique in Azure, and somebody has this one, or "
        "a storage account of this name was deleted a moment ago",
        setting="foundation.storage_account, .key_vault, .container_registry",
        remedy="set another name, or run again in some minutes",
        codes=("StorageAccountAlreadyTaken", "StorageAccountAlreadyExists", "VaultAlreadyExists", "AlreadyInUse"),
    ),
    Explanation(
        name="role-assigned-already",
        cause="the role is given to this principal there already, under a name that is not this stack's",
        setting="foundation.deployers, foundation.invokers",
        remedy="delete that assignment, and run again: `az role assignment delete --ids <id>`",
        codes=("RoleAssignmentExists",),
    ),
    Explanation(
        name="principal-not-found",
        cause="Entra ID does not know the principal (yet)",
        setting="foundation.deployers.<name>, foundation.invokers.<name>",
        remedy="give its object id, not its application id, and its right type; a new one takes some minutes",
        codes=("PrincipalNotFound", "PrincipalTypeNotSupported", "UnmatchedPrincipalType"),
    ),
    Explanation(
        name="purge-protected",
        cause="the key vault has purge protection, set by an Azure Policy perhaps: nobody can purge it",
        setting="foundation.purge",
        remedy="set `foundation: {purge: false}` and run `up`, then destroy; the name is free in 90 days",
        codes=("VaultPurgeProtected",),
        words=r"purge.?protect",
    ),
    Explanation(
        name="name-deleted-recently",
        cause="something of this name was deleted, and the service still keeps the name",
        setting="the resource's name",
        remedy="wait until it is purged, or use another name or content",
        codes=("SoftDeleted",),
        words=r"soft-deleted|deleted version .* cannot be (re)?created",
    ),
    Explanation(
        name="asset-registered-with-other-content",
        cause="a version of an asset never changes, and this one is registered with other content",
        setting="deployments.<name>.code, .model, .environment",
        remedy="use another name or version; assets of this project carry their content in their name",
        codes=("AssetCannotBeChanged",),
        words=r"already registered and cannot be changed|asset paths cannot be updated",
    ),
    Explanation(
        name="user-assigned-identity",
        cause="batch endpoints refuse user-assigned identities, although the specification has them "
        "(azure-rest-api-specs#40149)",
        setting="endpoint.identity.type",
        remedy="use SystemAssigned or leave it out; a job's identity is that of its compute (compute.identity_type)",
        codes=("UserAssignedIdentityNotSupported",),
        words=r"user[- ]?assigned (managed )?identit\w+ (is|are) not supported",
    ),
    Explanation(
        name="api-version-not-available",
        cause="this api-version is not offered for the resource in this region or cloud",
        setting="api_version",
        remedy="set one of those that the message lists",
        codes=("NoRegisteredProviderFound", "InvalidApiVersionParameter", "UnsupportedApiVersion"),
    ),
    Explanation(
        name="provider-not-registered",
        cause="the subscription has never used Azure Machine Learning",
        setting="subscription_id",
        remedy="run `az provider register --namespace Microsoft.MachineLearningServices` once and wait some minutes",
        codes=("MissingSubscriptionRegistration", "SubscriptionNotRegistered"),
    ),
    Explanation(
        name="quota",
        cause="a limit of the subscription in this region is reached: endpoints, deployments, or cores of a VM family",
        setting="compute.vm_size, compute.max_node_count",
        remedy="delete what is not needed, use a smaller size or another region, or ask for more: "
        "https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas",
        codes=("QuotaExceeded", "ClusterMinNodesExceedCoreQuota", "InsufficientQuota"),
        words=r"\bquota\b.*(exceed|reached)|(exceed|insufficient)\w* .*\bquota\b|limit of \d+ .* is reached",
    ),
    Explanation(
        name="workspace-role-missing",
        cause="who is signed in may not do this to this resource",
        setting="role assignments of the identity",
        remedy="give it the role 'AzureML Data Scientist' on the workspace (for a cluster of the stack's own also "
        "'AzureML Compute Operator'), or Contributor; a new assignment takes some minutes to work",
        codes=("AuthorizationFailed", "LinkedAuthorizationFailed"),
    ),
    Explanation(
        name="policy",
        cause="an Azure Policy forbids this resource as it is described",
        setting="what the policy in the message asks for: often tags or location",
        remedy="set what it asks for, or ask for an exemption",
        codes=("RequestDisallowedByPolicy",),
    ),
    Explanation(
        name="locked",
        cause="a lock on the resource, its group or its subscription forbids this",
        setting="management locks",
        remedy="have the lock removed, and run again",
        codes=("ScopeLocked",),
    ),
    Explanation(
        name="subscription-not-found",
        cause="the subscription does not exist, or who is signed in does not see it: another tenant, another cloud",
        setting="subscription_id, cloud",
        remedy="check both, and who is signed in (`az account show`)",
        codes=("SubscriptionNotFound", "InvalidSubscriptionId"),
    ),
    Explanation(
        name="resource-group-not-found",
        cause="the resource group does not exist in this subscription",
        setting="resource_group",
        remedy="correct it: the group and the workspace must exist before a stack is deployed to them",
        codes=("ResourceGroupNotFound",),
    ),
    Explanation(
        name="workspace-not-found",
        cause="the workspace does not exist in this resource group",
        setting="workspace",
        remedy="correct it: the workspace must exist before a stack is deployed to it",
        words=r"the resource 'Microsoft\.MachineLearningServices/workspaces/[^/']+' under resource group .* not found",
    ),
    Explanation(
        name="region",
        cause="a resource must be in its workspace's region, and that region must offer it",
        setting="location",
        remedy="set `location` to the workspace's region",
        codes=("LocationNotAvailableForResourceType", "InvalidResourceLocation", "LocationRequired"),
    ),
    Explanation(
        name="default-deployment-in-use",
        cause="the deployment is the endpoint's default, and the service does not delete that",
        setting="default",
        remedy="let another deployment be the default first; `up` does both in that order",
        words=r"is the default deployment of the endpoint",
    ),
    Explanation(
        name="default-deployment-missing",
        cause="the default names a deployment that the endpoint does not have",
        setting="default",
        remedy="run `make refresh` and `make up`: somebody deleted the deployment",
        words=r"the default deployment '.*' does not exist",
    ),
    Explanation(
        name="no-valid-deployments",
        cause="the caller named no deployment, and the endpoint has no default or none that is ready",
        setting="default",
        remedy="set `default`, or call with the header `azureml-model-deployment: <name>`",
        codes=("NoValidDeployments",),
        words=r"no valid deployments to route to|no default deployment",
    ),
    Explanation(
        name="blob-role-missing",
        cause="who is signed in may not read and write blobs of the workspace's storage account; Owner and Contributor "
        "do not include it",
        setting="role assignments of the identity",
        remedy="give it the role 'Storage Blob Data Contributor' on the storage account or the container; a new "
        "assignment takes some minutes to work",
        codes=("AuthorizationPermissionMismatch",),
    ),
    Explanation(
        name="storage-network",
        cause="the storage account's firewall or network rules do not let this machine in, or the role "
        "'Storage Blob Data Contributor' is missing",
        setting="network rules of the storage account",
        remedy="run where the storage account can be reached (a private endpoint, an allowed address); check the role",
        codes=("AuthorizationFailure",),
    ),
    Explanation(
        name="shared-keys-forbidden",
        cause="this storage account forbids shared keys",
        setting="shared_key",
        remedy="leave `shared_key` out, so that uploads sign in with Entra ID, with the role 'Storage Blob Data "
        "Contributor'",
        codes=("KeyBasedAuthenticationNotPermitted",),
    ),
    Explanation(
        name="storage-sign-in",
        cause="blob storage refused the token or key",
        setting="cloud, shared_key, the tenant that signs in",
        remedy="check them; a wrong clock would be named",
        codes=("InvalidAuthenticationInfo", "AuthenticationFailed", "NoAuthenticationInformation"),
    ),
    Explanation(
        name="container-missing",
        cause="the datastore names a container that is not there or is being deleted",
        setting="datastore",
        remedy="check the workspace's datastore; restore the container, or set another datastore",
        codes=("ContainerNotFound", "ContainerBeingDeleted"),
    ),
    Explanation(
        name="storage-disabled",
        cause="the storage account is disabled",
        setting="datastore",
        remedy="look at its subscription in the portal, or set another datastore",
        codes=("AccountIsDisabled",),
    ),
    Explanation(
        name="blob-immutable",
        cause="a policy or a lease keeps this blob as it is",
        setting="datastore",
        remedy="use a datastore without such a policy, or break the lease",
        codes=("BlobImmutableDueToPolicy", "LeaseIdMissing"),
    ),
    Explanation(
        name="upload-collision",
        cause="something that this upload did not write lies at its place, which is named after its content",
        setting="datastore",
        remedy="delete it: nothing else may write there; or run again when another run was uploading the same",
        codes=("StrangerInUpload",),
    ),
    Explanation(
        name="wrong-tenant",
        cause="the token is for another tenant than the subscription's",
        setting="AZURE_TENANT_ID",
        remedy="sign in to the subscription's tenant: `az login --tenant <id>`, or set AZURE_TENANT_ID",
        codes=("InvalidAuthenticationTokenTenant",),
    ),
    Explanation(
        name="foreign-host",
        cause="an address that an answer or a setting gave is not one of this cloud's own hosts, so it gets no token",
        setting="cloud",
        remedy="check `cloud`, and where the address came from",
        codes=("ForeignHost",),
    ),
    Explanation(
        name="federated-sign-in",
        cause="Entra ID does not take the token by which the pipeline says who it is",
        setting="the federated credential of the app registration AZURE_CLIENT_ID",
        remedy="its issuer, subject and audience must be those in the message, letter by letter; "
        "see docs/rollouts.md#github-actions",
        words=r"AADSTS70021[123]?\b|AADSTS700027\b|no OpenID Connect token|"
        r"without an OpenID Connect token",
    ),
    Explanation(
        name="sign-in",
        cause="nobody could be signed in, or the token was refused",
        setting="AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, or `az login`",
        remedy="sign in again, and check that the secret has not expired",
        codes=("ClientAuthenticationError", "CredentialUnavailableError"),
        kinds=(arm.Unauthorized,),
    ),
    Explanation(
        name="forbidden",
        cause="who is signed in may not do this",
        setting="role assignments of the identity",
        remedy="ask for a role that has the action in the message",
        kinds=(arm.Forbidden,),
    ),
    Explanation(
        name="still-running",
        cause="the wait ended before the operation did; it goes on in Azure",
        setting="deadlines.create, .update, .delete, or Pulumi's customTimeouts",
        remedy="run `make up` again: it takes up what is there; set a longer one if that is usual",
        kinds=(arm.DeadlineExceeded,),
    ),
    Explanation(
        name="operation-failed",
        cause="the service began the operation and gave it up",
        setting="what the message names",
        remedy="mend that and run `make up` again: it goes on from what is there",
        kinds=(arm.OperationFailed,),
    ),
    Explanation(
        name="busy",
        cause="another operation on the same resource has not ended",
        setting="deadlines.create, .update, .delete",
        remedy="run again when it has; do not run two stacks on one endpoint",
        kinds=(arm.Busy,),
    ),
    Explanation(
        name="conflict",
        cause="the resource is in a state that refuses this",
        setting="what the message names",
        remedy="look at the resource's state in the portal; run `make refresh` and `make up`",
        kinds=(arm.Conflict,),
    ),
    Explanation(
        name="throttled",
        cause="Azure was asked too often, and went on refusing",
        setting="--parallel",
        remedy="run again in some minutes, or with `ARGS='--parallel 8'`",
        kinds=(arm.Throttled,),
    ),
    Explanation(
        name="answer-lost",
        cause="the connection broke before the whole answer came; the request may have been carried out",
        setting="network and proxy",
        remedy="run `make up` again: it looks at what is there before it does anything",
        kinds=(arm.AnswerLost,),
    ),
    Explanation(
        name="unreachable",
        cause="no connection: name resolution, network, proxy or certificates",
        setting="HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE, REQUESTS_CA_BUNDLE",
        remedy="check them: `curl https://<host>` must answer from this shell",
        codes=(
            "ServiceRequestError",
            "ServiceResponseError",
            "ServiceRequestTimeoutError",
            "ServiceResponseTimeoutError",
        ),
        kinds=(arm.Unreachable,),
    ),
    Explanation(
        name="not-azure",
        cause="something else than Azure answered: a proxy, a sign-in page, a captive portal",
        setting="HTTPS_PROXY, NO_PROXY",
        remedy="open the network for the host in the message",
        kinds=(arm.BadAnswer,),
    ),
    Explanation(
        name="service-trouble",
        cause="the service failed, and went on failing",
        setting="none",
        remedy="run again later; https://azure.status.microsoft, and support wants the correlation id",
        kinds=(arm.ServerTrouble,),
    ),
    Explanation(
        name="local-folder",
        cause="a local folder or file cannot be read or written, or changed while it was uploaded",
        setting="deployments.<name>.code, .model, smoke_job.input; INPUT, --to",
        remedy="mend what the message names, and run again",
        kinds=(FolderError,),
    ),
    Explanation(
        name="not-found",
        cause="something that the request refers to does not exist",
        setting="the id in the message",
        remedy="correct the id; run `make refresh` if somebody deleted it",
        kinds=(arm.NotFound,),
    ),
    Explanation(
        name="blob-storage",
        cause="blob storage refused this",
        setting="datastore",
        remedy="see its code: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes",
        kinds=(BlobError,),
    ),
    Explanation(
        name="refused-by-the-service",
        cause="the service does not take the request as it is",
        setting="what the message names",
        remedy="correct it; docs/configuration.md has every setting",
        kinds=(arm.Invalid,),
    ),
)
"""What Azure says. The first entry that fits is an error's."""

OWN = (
    Explanation(
        name="vault-name-held",
        cause="a deleted key vault that this stack did not make holds the name",
        setting="foundation.key_vault",
        remedy="set another name, or purge it",
        own=True,
    ),
    Explanation(
        name="not-ours",
        cause="there is one of this name already, which this stack did not make",
        setting="endpoint.adopt, deployments.<name>.adopt, or the name",
        remedy="choose another name, or set `adopt: true` to take it over on purpose",
        own=True,
    ),
    Explanation(
        name="taken-over",
        cause="another stack has adopted what this one made, and two that write to it would undo each other's work",
        setting="endpoint.adopt, deployments.<name>.adopt",
        remedy="let one stack own it: set `adopt: true` here to take it back, or give this stack's another name",
        own=True,
    ),
    Explanation(
        name="not-ours-to-delete",
        cause="what is to be deleted does not carry this stack's tag any more",
        setting="the tag pulumi-stack-owner",
        remedy="delete it by hand, give it the tag and run destroy again, or forget it: `pulumi state delete <urn>`",
        own=True,
    ),
    Explanation(
        name="workspace-missing",
        cause="the workspace that the stack file names does not exist, or not where it says",
        setting="subscription_id, resource_group, workspace",
        remedy="correct them, or create the workspace first; nothing was made, changed or deleted",
        own=True,
    ),
    Explanation(
        name="endpoint-of-another-stack",
        cause="the endpoint is another stack's, and a default that two stacks write would go back and forth",
        setting="endpoint.name, endpoint.adopt",
        remedy="let one stack own the endpoint: give this one a name of its own, or adopt it",
        own=True,
    ),
    Explanation(
        name="endpoint-gone",
        cause="somebody deleted the endpoint since the last run",
        setting="none",
        remedy="`make refresh` notices, the next `make up` creates it",
        own=True,
    ),
    Explanation(
        name="empty-tags-there",
        cause="tags of an endpoint or deployment that are not this stack's have no value, and the service takes no PUT "
        "with such",
        setting="the tags in the message, on the resource",
        remedy="give them a value or remove them in the portal, or set them in `endpoint: {tags: ...}`",
        own=True,
    ),
    Explanation(
        name="value-not-taken",
        cause="the service answered well, and kept another value: it does not let this property change",
        setting="the properties in the message",
        remedy="undo the change, or give the resource a new name",
        own=True,
    ),
    Explanation(
        name="part-missing",
        cause="parts of a deployment are not there: somebody deleted them, or a destroy that was cut short",
        setting="the ids in the message",
        remedy="run `make refresh` and `make up`; correct the ids of what this stack does not make",
        own=True,
    ),
    Explanation(
        name="default-not-taken",
        cause="the service answered well, and the default is not what was asked",
        setting="default",
        remedy="run again; somebody else may be switching it",
        own=True,
    ),
    Explanation(
        name="other-content",
        cause="the asset's version is registered already, and what lies there is other content",
        setting="deployments.<name>.code, .model",
        remedy="delete that version, or name the deployment otherwise",
        own=True,
    ),
    Explanation(
        name="datastore-missing",
        cause="the workspace has no datastore of this name",
        setting="datastore",
        remedy="set one of the workspace's datastores",
        own=True,
    ),
    Explanation(
        name="datastore-of-another-kind",
        cause="batch scoring reads and writes AzureBlob datastores",
        setting="datastore",
        remedy="set a datastore that is AzureBlob",
        own=True,
    ),
    Explanation(
        name="workspace-unreadable",
        cause="the workspace is gone, or names no discovery document",
        setting="workspace",
        remedy="check the workspace",
        own=True,
    ),
    Explanation(
        name="scoring-uri-missing",
        cause="the endpoint is gone, or is not ready",
        setting="endpoint",
        remedy="run `make refresh` and `make up`",
        own=True,
    ),
    Explanation(
        name="job-failed",
        cause="the smoke job failed or was cancelled: the message has the script's own error where there is one; the "
        "default was not moved",
        setting="deployments.<name>.code, .environment, smoke_job",
        remedy="mend it and run `make up`: it starts another attempt",
        own=True,
    ),
    Explanation(
        name="job-still-running",
        cause="the wait ended before the smoke job did; it goes on in Azure",
        setting="smoke_job.deadline",
        remedy="run `make up` again: it goes on waiting for the same job",
        own=True,
    ),
    Explanation(
        name="predictions-refused",
        cause="the smoke job completed, and its predictions are not what was expected; the default was not moved",
        setting="smoke_job.expected_rows, smoke_job.expected_columns, smoke_job.check_script",
        remedy="mend the model, the script or the expectation, and run `make up`; with another expectation the same "
        "predictions are looked at again",
        own=True,
    ),
    Explanation(
        name="input-too-large",
        cause="a smoke job is a small one, and this input is not; nothing was started",
        setting="smoke_job.max_files",
        remedy="give it a folder with some typical files, or allow more",
        own=True,
    ),
    Explanation(
        name="input-uncountable",
        cause="nobody can list the files of this input, so nobody knows what the smoke job would cost; nothing was "
        "started",
        setting="smoke_job.input, smoke_job.max_files",
        remedy="give it as a datastore uri or as a data asset, or set `max_files: 0`",
        own=True,
    ),
    Explanation(
        name="deployment-serves",
        cause="somebody has moved the default to a deployment that this stack is about to delete",
        setting="default",
        remedy="run `make refresh`, which notices, and `make up`, which moves the default back before it deletes",
        own=True,
    ),
    Explanation(
        name="deployment-in-use",
        cause="jobs still run on a deployment that is to be deleted, and need its model; the default has moved already",
        setting="deployments.<name>.drain",
        remedy="run `make up` again when they have ended, or cancel them",
        own=True,
    ),
    Explanation(
        name="deployment-jobs-unreadable",
        cause="the list of a deployment's jobs cannot be read, so nobody knows whether some still run on it",
        setting="deployments.<name>.drain",
        remedy="mend what the message names and run `make up` again",
        own=True,
    ),
    Explanation(
        name="leftover-holds-others",
        cause="somebody else has put something into what is left of the stack, and it would go with it",
        setting="none",
        remedy="delete or move what the message names, then run the same command again",
        own=True,
    ),
    Explanation(
        name="usage",
        cause="the command line has an option that cannot be",
        setting="the option in the message",
        remedy="see `python -m jobs VERB --help`",
        own=True,
    ),
    Explanation(
        name="endpoint-unnamed",
        cause="the command does not say which endpoint it is about, or not completely",
        setting="--stack, --endpoint",
        remedy="name a deployed stack, with --endpoint NAME where it has several, or the endpoint by its ARM id",
        own=True,
    ),
    Explanation(
        name="endpoint-missing",
        cause="the workspace has no such endpoint",
        setting="--stack, --endpoint",
        remedy="run `make up`, or name another",
        own=True,
    ),
    Explanation(
        name="default-missing",
        cause="no deployment was named, and the endpoint has no default",
        setting="--deployment",
        remedy="name one, or set `default` in the stack file and run `make up`",
        own=True,
    ),
    Explanation(
        name="deployment-missing",
        cause="the endpoint has no such deployment",
        setting="--deployment",
        remedy="name one of those in the message",
        own=True,
    ),
    Explanation(
        name="output-action-of-the-deployment",
        cause="what becomes of a script's results is a property of the deployment: the service's job "
        "requests have no member for it",
        setting="--output-action",
        remedy="name a deployment that has it",
        own=True,
    ),
    Explanation(
        name="pipeline-inputs",
        cause="the inputs are not those that the deployment takes: a pipeline's has several, by name, "
        "a model's reads one and takes no literals",
        setting="--input, --literal",
        remedy="give what the message lists",
        own=True,
    ),
    Explanation(
        name="input-unreadable",
        cause="the input is of a form that batch endpoints do not read, or that is not known here",
        setting="INPUT",
        remedy="give a local path, https://..., azureml://datastores/..., or name:version",
        own=True,
    ),
    Explanation(
        name="input-missing",
        cause="nothing lies at the place that was named; nothing was started",
        setting="INPUT, smoke_job.input",
        remedy="correct the path",
        own=True,
    ),
    Explanation(
        name="data-asset-missing",
        cause="the workspace has no such data asset or version",
        setting="INPUT, smoke_job.input",
        remedy="name one of those in the message",
        own=True,
    ),
    Explanation(
        name="data-label-unknown",
        cause="workspaces know the label `latest` of data, and no other",
        setting="INPUT",
        remedy="name a version",
        own=True,
    ),
    Explanation(
        name="data-asset-of-other-content",
        cause="the data asset's version is registered already, with other content",
        setting="--register",
        remedy="name another version",
        own=True,
    ),
    Explanation(
        name="data-asset-of-another-kind",
        cause="batch endpoints read data assets of type uri_folder and uri_file",
        setting="INPUT",
        remedy="register the files by themselves",
        own=True,
    ),
    Explanation(
        name="datastore-uri-unreadable",
        cause="an address of data is not written as datastore uris are",
        setting="INPUT, --output",
        remedy="write azureml://datastores/<datastore>/paths/<path>",
        own=True,
    ),
    Explanation(
        name="output-exists",
        cause="the service lets a job fail at its end that would overwrite a file, so that it is not started",
        setting="--output, --output-file",
        remedy="choose another place, or leave --output out",
        own=True,
    ),
    Explanation(
        name="key-of-another-submission",
        cause="--key stands for one submission, and was used for another one",
        setting="--key",
        remedy="use another key",
        own=True,
    ),
    Explanation(
        name="submission-of-yesterday",
        cause="an interrupted run of the same command started a job more than a day ago, which has ended since",
        setting="--new, --key",
        remedy="look at that job, or start another with --new",
        own=True,
    ),
    Explanation(
        name="job-missing",
        cause="the workspace has no such job, or the endpoint none at all",
        setting="JOB",
        remedy="see `python -m jobs list`",
        own=True,
    ),
    Explanation(
        name="job-not-ended",
        cause="a job's output is whole when the job has ended",
        setting="JOB",
        remedy="watch it, then run again",
        own=True,
    ),
    Explanation(
        name="nothing-to-download",
        cause="the job wrote nothing, or somebody deleted it",
        setting="JOB",
        remedy="see `python -m jobs show` for why",
        own=True,
    ),
    Explanation(
        name="file-in-the-way",
        cause="a file of another content has the name of one that would be fetched",
        setting="--to, --overwrite",
        remedy="name another folder, or replace it",
        own=True,
    ),
    Explanation(
        name="cancellation-not-ended",
        cause="the job was told to end, and has not yet",
        setting="--wait",
        remedy="watch it",
        own=True,
    ),
    Explanation(
        name="log-missing",
        cause="the job has no log of that name, or none yet",
        setting="--file",
        remedy="see `python -m jobs logs --list`",
        own=True,
    ),
    Explanation(
        name="matplotlib-missing",
        cause="the picture is drawn by matplotlib, which is an extra of this project",
        setting="--plot",
        remedy="install it",
        own=True,
    ),
    Explanation(
        name="nothing-to-plot",
        cause="the job left no predictions file: it has not ended, failed, or its script writes files of its own",
        setting="--plot",
        remedy="see `python -m jobs show`",
        own=True,
    ),
    Explanation(
        name="bug",
        cause="a mistake in this project",
        setting="AML_BATCH_DEBUG",
        remedy="run again with AML_BATCH_DEBUG=1 to see the traceback, and report it",
        own=True,
    ),
)
"""What this project says by itself."""


def entries() -> Iterator[Explanation]:
    """The whole table, in the order of the page."""
    yield from SERVICE
    yield from OWN


def explain(error: Exception) -> Explanation:
    """The entry of an error; `bug` for what nobody expected."""
    cause = error.__cause__
    if isinstance(error, arm.DeadlineExceeded) and isinstance(cause, ArmError) and not isinstance(cause, arm.Busy):
        return explain(cause)  # nothing was begun: what stood in the way until then is the matter
    name = named(error)
    for entry in entries():
        if entry.name == name or (not name and entry.fits(error)):
            return entry
    return next(entry for entry in OWN if entry.name == "bug")


def named(error: Exception) -> str:
    """The entry that the error names itself, empty where it names none."""
    return error.name if isinstance(error, Named) else ""


def told(error: Exception) -> str:
    """What a user reads: the error on one line, and below it its cause, what to do, and where that is written.

    A refusal of our own says what to do by itself, with the names that it is about.
    """
    entry = explain(error)
    where = f"{PAGE}#{entry.name}"
    if entry.name == "bug":
        first = f"{type(error).__name__}: {' '.join(str(error).split())}{_raised_at(error)}"
    else:
        first = str(error)
    second = where if entry.own and entry.name != "bug" else f"{entry.cause}; {entry.remedy} ({where})"
    return f"{redact(first)}\n-> {second}"


def _raised_at(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({frames[-1].filename.rsplit('/', 1)[-1]}, line {frames[-1].lineno})" if frames else ""

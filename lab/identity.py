"""Who the lab is: the reserved names by which a lab is told from a real cloud.

The emulator knows these and no others; a subscription id that starts like this one is not one of Azure's.
"""

SUBSCRIPTION_ID = "1ab00000-0000-4000-8000-000000000001"
TENANT_ID = "1ab00000-0000-4000-8000-000000000002"
CLIENT_ID = "1ab00000-0000-4000-8000-000000000003"
"""The lab's service principal; its secret is random per lab and lies in `.lab/lab.json` (0600)."""
PRINCIPAL_ID = "1ab00000-0000-4000-8000-000000000004"
"""Object id of the service principal, as in the `oid` claim of its tokens."""
WORKSPACE_ID = "1ab00000-0000-4000-8000-000000000005"

RESOURCE_GROUP = "lab"
WORKSPACE = "lab"
LOCATION = "eastus"
STORAGE_ACCOUNT = "labstore"
DEFAULT_DATASTORE = "workspaceblobstore"
DEFAULT_CONTAINER = f"azureml-blobstore-{WORKSPACE_ID}"
LOGS_CONTAINER = "azureml"
"""Job logs lie here, below `ExperimentRun/dcid.<job>/`, as in a real workspace's storage account."""

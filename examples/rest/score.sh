#!/usr/bin/env bash
# Deploys a model for batch scoring and scores a folder of files, three times over, with nothing but curl and jq.
#
#     score.sh 2022|2021 RESULTS_FOLDER
#
# 2022: inputs and outputs as `InputData` and `OutputData`, data assets.
# 2021: inputs as `dataset`, outputs as `outputDataset`, dataset assets; api-version 2021-10-01.
#
# Environment: AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET of a service principal that is Contributor of the
# workspace and Storage Blob Data Contributor of its storage account; AZURE_SUBSCRIPTION_ID, RESOURCE_GROUP, WORKSPACE;
# MODEL (folder), CODE (folder), SCORING_SCRIPT (in CODE), CONDA_FILE, INPUT (folder). May be set: NAME (of everything
# that is made), COMPUTE (an existing cluster; else one is made, and deleted at the end), IMAGE, POLL_SECONDS.
#
# The bodies are what people send by hand: trailing commas, numbers in quotes, names and values in any letter case. The
# service takes them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/azure.sh"

FORM=${1:-}
RESULTS=${2:-}
case $FORM in
  2022) API_VERSION=2022-05-01 ;;
  2021) API_VERSION=2021-10-01 ;;
  *) say "usage: score.sh 2022|2021 RESULTS_FOLDER"; exit 2 ;;
esac
need AZURE_TENANT_ID AZURE_CLIENT_ID AZURE_CLIENT_SECRET AZURE_SUBSCRIPTION_ID RESOURCE_GROUP WORKSPACE RESULTS
need MODEL CODE SCORING_SCRIPT CONDA_FILE INPUT
NAME=${NAME:-rest-$FORM-$RANDOM}
IMAGE=${IMAGE:-mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:latest}

# --- Who, where ------------------------------------------------------------------------------------------------------
ARM_TOKEN=$(token https://management.azure.com)
ML_TOKEN=$(token https://ml.azure.com)
STORAGE_TOKEN=$(token https://storage.azure.com)
WS=/subscriptions/$AZURE_SUBSCRIPTION_ID/resourceGroups/$RESOURCE_GROUP
WS+=/providers/Microsoft.MachineLearningServices/workspaces/$WORKSPACE
LOCATION=$(arm GET "$WS" | jq -er .location)
STORE=$(arm GET "$WS/datastores?isDefault=true" | jq -e '.value[0]')
STORE_ID=$(jq -r .id <<<"$STORE")
STORE_NAME=$(jq -r .name <<<"$STORE")
BLOB_ROOT=$(jq -r '.properties | "\(.protocol)://\(.accountName).blob.\(.endpoint)/\(.containerName)"' <<<"$STORE")
say "workspace $WORKSPACE in $LOCATION, default datastore $STORE_NAME: $BLOB_ROOT"

# --- Code, model, environment ----------------------------------------------------------------------------------------
upload "$CODE" "$NAME/code"
arm PUT "$WS/codes/$NAME/versions/1" "{
  \"properties\": {\"description\": \"scoring script\", \"codeUri\": \"$BLOB_ROOT/$NAME/code\"},
}" >/dev/null

upload "$MODEL" "$NAME/model"
arm PUT "$WS/models/$NAME" '{"properties": {"description": "versions of one model",}}' >/dev/null
MODEL_URI=azureml://subscriptions/$AZURE_SUBSCRIPTION_ID/resourceGroups/$RESOURCE_GROUP
MODEL_URI+=/workspaces/$WORKSPACE/datastores/$STORE_NAME/paths/$NAME/model
case $FORM in
  2022) MODEL_TYPE='"modelType": "custom_model"' ;;
  2021) MODEL_TYPE='"modelFormat": "custom"' ;;
esac
arm PUT "$WS/models/$NAME/versions/1" "{\"properties\": {\"modelUri\": \"$MODEL_URI\", $MODEL_TYPE,}}" >/dev/null

arm PUT "$WS/environments/$NAME" '{"properties": {}}' >/dev/null
arm PUT "$WS/environments/$NAME/versions/1" "{
  \"properties\": {
    \"condaFile\": $(jq -Rs . <"$CONDA_FILE"),
    \"image\": \"$IMAGE\",
  }
}" >/dev/null

# --- Compute, endpoint, deployment -----------------------------------------------------------------------------------
if [[ -z ${COMPUTE:-} ]]; then
  MADE_COMPUTE=cpu-$RANDOM
  COMPUTE=$MADE_COMPUTE
  answer=$(arm PUT "$WS/computes/$COMPUTE" "{
    \"location\": \"$LOCATION\",
    \"properties\": {
      \"computeType\": \"AmlCompute\",
      \"properties\": {
        \"osType\": \"linux\",
        \"vmSize\": \"standard_ds3_v2\",
        \"scaleSettings\": {\"maxNodeCount\": \"2\", \"minNodeCount\": 0},
        \"remoteLoginPortPublicAccess\": \"NotSpecified\",
      },
    },
  }")
  finish "compute $COMPUTE" "$answer"
fi

answer=$(arm PUT "$WS/batchEndpoints/$NAME" "{
  \"location\": \"$LOCATION\",
  \"properties\": {\"authMode\": \"aadToken\"},
}")
finish "endpoint $NAME" "$answer"

DEPLOYMENT=by-hand
answer=$(arm PUT "$WS/batchEndpoints/$NAME/deployments/$DEPLOYMENT" "{
  \"location\": \"$LOCATION\",
  \"properties\": {
    \"model\": {\"referenceType\": \"Id\", \"assetId\": \"$WS/models/$NAME/versions/1\"},
    \"codeConfiguration\": {\"codeId\": \"$WS/codes/$NAME/versions/1\", \"scoringScript\": \"$SCORING_SCRIPT\"},
    \"environmentId\": \"$WS/environments/$NAME/versions/1\",
    \"compute\": \"$WS/computes/$COMPUTE\",
    \"resources\": {\"instanceCount\": 1},
    \"MaxConcurrencyPerInstance\": \"2\",
    \"retrySettings\": {\"maxRetries\": \"3\", \"timeout\": \"PT30S\"},
    \"errorThreshold\": \"10\",
    \"loggingLevel\": \"info\",
    \"MINIBATCHSIZE\": \"30\",
  }
}")
finish "deployment $DEPLOYMENT" "$answer"

# Whatever a PUT does not name is lost: everything of the endpoint is sent again, with its default deployment.
answer=$(arm PUT "$WS/batchEndpoints/$NAME" "{
  \"location\": \"$LOCATION\",
  \"properties\": {\"authMode\": \"aadToken\", \"defaults\": {\"deploymentName\": \"$DEPLOYMENT\"}},
}")
finish "default of $NAME" "$answer"
SCORING_URI=$(arm GET "$WS/batchEndpoints/$NAME" | jq -er .properties.scoringUri)

# --- What to score, and the three ways to say it ---------------------------------------------------------------------
upload "$INPUT" "$NAME/input"
case $FORM in
  2022)
    arm PUT "$WS/data/$NAME/versions/1" "{
      \"properties\": {\"dataType\": \"uri_folder\", \"dataUri\": \"$BLOB_ROOT/$NAME/input\",}
    }" >/dev/null

    # body INPUT_URI OUTPUT_NAME
    body() {
      printf '{"Properties": {
        "InputData": {"files": {"JobInputType": "UriFolder", "Uri": "%s",},},
        "OutputData": {"predictions": {"JobOutputType": "UriFile", "Uri": "%s"}},
      }}' "$1" "azureml://datastores/$STORE_NAME/paths/$NAME/output/$2/predictions.csv"
    }
    asset=$(body "$WS/data/$NAME/versions/1" asset)
    url=$(body "$BLOB_ROOT/$NAME/input" url)
    path=$(body "azureml://datastores/$STORE_NAME/paths/$NAME/input" path)
    ;;
  2021)
    arm PUT "$WS/datasets/$NAME/versions/1" "{
      \"properties\": {\"paths\": [{\"folder\": \"$BLOB_ROOT/$NAME/input\"},],}
    }" >/dev/null

    # body DATASET OUTPUT_NAME
    body() {
      printf '{"properties": {
        "dataset": {%s},
        "outputDataset": {"datastoreId": "%s", "path": "%s"},
        "outputFileName": "predictions.csv",
      }}' "$1" "$STORE_ID" "$NAME/output/$2"
    }
    asset=$(body "\"dataInputType\": \"DatasetVersion\", \"datasetName\": \"$NAME\", \"datasetVersion\": \"1\"" asset)
    url=$(body "\"dataInputType\": \"DataUrl\", \"Path\": \"$BLOB_ROOT/$NAME/input\"" url)
    path=$(body "\"dataInputType\": \"dataurl\", \"path\": \"azureml://datastores/$STORE_NAME/paths/$NAME/input\"" path)
    ;;
esac

jobs=(
  "$(invoke "$SCORING_URI" "$asset")"
  "$(invoke "$SCORING_URI" "$url")"
  "$(invoke "$SCORING_URI" "$path" "$DEPLOYMENT")"
)
mkdir -p "$RESULTS"
ways=(asset url path)
for number in 0 1 2; do
  finish_job "$SCORING_URI" "${jobs[number]}"
  fetch "$NAME/output/${ways[number]}/predictions.csv" "$RESULTS/${ways[number]}.csv"
done

# --- What costs money goes -------------------------------------------------------------------------------------------
answer=$(arm DELETE "$WS/batchEndpoints/$NAME")
finish "deletion of $NAME" "$answer"
if [[ -n ${MADE_COMPUTE:-} ]]; then
  answer=$(arm DELETE "$WS/computes/$MADE_COMPUTE?underlyingResourceAction=Delete")
  finish "deletion of $MADE_COMPUTE" "$answer"
fi
wc -l "$RESULTS"/*.csv

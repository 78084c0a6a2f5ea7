# Azure's REST interfaces by curl and jq, for score.sh. Source it; it needs bash, curl 7.76 and jq 1.6.
#
# Secrets never stand on a command line, where every user of the machine could read them: curl gets them from a pipe.

POLL_SECONDS=${POLL_SECONDS:-5}
HEADERS=$(mktemp)
trap 'rm -f "$HEADERS"' EXIT

say() { printf '%s\n' "$*" >&2; }

# need NAME...: ends the script unless each variable is set.
need() {
  local name missing=()
  for name in "$@"; do [[ -n ${!name:-} ]] || missing+=("$name"); done
  [[ ${#missing[@]} -eq 0 ]] || { say "set ${missing[*]}"; exit 2; }
}

bearer() { printf 'Authorization: Bearer %s' "$1"; }

# request CURL-ARGUMENTS...: prints the answer's body. What the service said to a refused request goes to stderr.
request() {
  local body
  body=$(curl --silent --show-error --fail-with-body --dump-header "$HEADERS" "$@") || { say "$body"; return 1; }
  printf '%s' "$body"
}

# header NAME: of the newest answer.
header() { { grep -i "^$1:" "$HEADERS" || true; } | tail -n 1 | sed 's/^[^:]*: *//' | tr -d '\r'; }

# token RESOURCE: an access token of the service principal.
token() {
  request "https://login.microsoftonline.com/$AZURE_TENANT_ID/oauth2/v2.0/token" \
    --data-urlencode grant_type=client_credentials \
    --data-urlencode "client_id=$AZURE_CLIENT_ID" \
    --data-urlencode "client_secret@"<(printf %s "$AZURE_CLIENT_SECRET") \
    --data-urlencode "scope=$1/.default" | jq -er .access_token
}

# arm METHOD PATH [BODY]: a call of Azure Resource Manager.
arm() {
  local separator='?'
  [[ $2 == *\?* ]] && separator='&'
  request --request "$1" "https://management.azure.com$2${separator}api-version=$API_VERSION" \
    --header @<(bearer "$ARM_TOKEN") --header 'Content-Type: application/json' ${3:+--data-raw "$3"}
}

# finish WHAT ANSWER: waits for the operation that a PUT or DELETE began. Its URL stood in the body in 2021 and 2022, and
# stands in a header since; an answer with neither is finished.
finish() {
  local url status answer
  url=$(jq -r '.properties.properties.AzureAsyncOperationUri? // empty' <<<"${2:-null}")
  url=${url:-$(header Azure-AsyncOperation)}
  while [[ -n $url ]]; do
    answer=$(request "$url" --header @<(bearer "$ARM_TOKEN"))
    status=$(jq -r .status <<<"$answer")
    say "$1: $status"
    case $status in
      Succeeded) return ;;
      Failed | Canceled) say "$(jq -c .error <<<"$answer")"; return 1 ;;
    esac
    sleep "$POLL_SECONDS"
  done
}

# upload FOLDER PREFIX: every file of a folder, several at once, below a prefix of the default container.
upload() {
  (cd "$1" && find . -type f -not -path '*/__pycache__/*' | sed 's|^\./||') |
    jq -Rr --arg folder "$1" --arg root "$BLOB_ROOT/$2" --rawfile authorization <(bearer "$STORAGE_TOKEN") '
      "next", "fail", "output = /dev/null",
      "url = \("\($root)/\(split("/") | map(@uri) | join("/"))" | @json)",
      "upload-file = \("\($folder)/\(.)" | @json)",
      "header = \($authorization | @json)",
      "header = \"x-ms-version: 2021-08-06\"",
      "header = \"x-ms-blob-type: BlockBlob\""' |
    sed 1d | curl --silent --show-error --parallel --parallel-max 8 --fail-early --config -
  say "uploaded $1"
}

# invoke SCORING_URI BODY [DEPLOYMENT]: begins a job and prints its name; without a deployment the default one runs it.
invoke() {
  request --request POST "$1" --header @<(bearer "$ML_TOKEN") --header 'Content-Type: application/json' \
    --data-raw "$2" ${3:+--header "azureml-model-deployment: $3"} | jq -er '.id | split("/") | last'
}

# finish_job SCORING_URI NAME
finish_job() {
  local status=
  while true; do
    status=$(request "$1/$2" --header @<(bearer "$ML_TOKEN") | jq -er .properties.status)
    say "$2: $status"
    case $status in
      Completed) return ;;
      Failed | Canceled) return 1 ;;
    esac
    sleep "$POLL_SECONDS"
  done
}

# fetch PATH FILE: a blob of the default container.
fetch() {
  request "$BLOB_ROOT/$1" --header @<(bearer "$STORAGE_TOKEN") --header 'x-ms-version: 2021-08-06' >"$2"
}

#!/usr/bin/env bash
# Keeps a fresh token of GitHub's in a file, for what cannot ask for one by itself: the state backend (azblob://) and the
# secrets provider (azurekeyvault://) of the pulumi CLI, which sign in by AZURE_FEDERATED_TOKEN_FILE. A token lives for
# five minutes; one that a job writes once is too old when an hour of building an environment is over. The providers of
# this project need no file: they ask for a token at each sign-in (providers/arm/assertions.py).
# Needs `permissions: id-token: write`. Ends with the job.
set -euo pipefail
file="$RUNNER_TEMP/federated-token"

renew() {
  umask 077
  curl -sS --fail --retry 5 --retry-all-errors --max-time 20 \
    -H "Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \
    "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=api://AzureADTokenExchange" |
    python3 -c 'import json, sys; sys.stdout.write(json.load(sys.stdin)["value"])' > "$file.new"
  mv "$file.new" "$file"
}

renew
echo "AZURE_FEDERATED_TOKEN_FILE=$file" >> "$GITHUB_ENV"
(while sleep 180; do renew || echo "the token in $file could not be renewed" >&2; done) > /dev/null 2>> "$RUNNER_TEMP/federated-token.log" &

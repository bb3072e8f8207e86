#!/bin/bash
# The kill-switch by hand: the safe steps of docs/kill-switch.md in their order, with helm, kubectl
# and the airflow command where it has a verb for the step. Each line of output is the time a step
# began. Needs in the environment: NAMESPACE, RELEASE, CHART (a file), VALUES (the release's values
# from before the flip), BASE (the XCom path), and helm and kubectl that reach the cluster. With
# FINISHED=Accept it also reverts while finished runs hold paths; else it stays at threshold -1 then.
set -euo pipefail
: "${NAMESPACE:?}" "${RELEASE:?}" "${CHART:?}" "${VALUES:?}" "${BASE:?}"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

step() { printf '%s %s\n' "$(date +%s.%N)" "$*"; }

scheduler() { kubectl -n "$NAMESPACE" exec -i "deploy/$RELEASE-scheduler" -c scheduler -- "$@"; }

# The columns of a result, separated by blanks; none of the values has one.
sql() {
  kubectl -n "$NAMESPACE" exec -i deploy/postgres -- \
    psql -h /tmp -U airflow -d airflow -AtqX -F ' ' -v ON_ERROR_STOP=1 -v "base=$BASE" "$@" -f -
}

# Pods are being replaced from the first step on: a command in one may fail, and is given again.
again() {
  local end=$((SECONDS + 120))
  until "$@" >/dev/null 2>"$folder/error"; do
    if ((SECONDS > end)); then cat "$folder/error" >&2; return 1; fi
    sleep 0.2
  done
}

task_pods() {
  kubectl -n "$NAMESPACE" get pods -o name -l "kubernetes_executor=True${1:+,$1}" \
    --field-selector status.phase!=Succeeded,status.phase!=Failed
}

# The airflow command has no verb that sets a run to failed: a line of Python at the REST API.
set_failed='
import base64, json, sys, urllib.parse, urllib.request
for dag, run in (item.split("|") for item in sys.argv[2:]):
    address = f"{sys.argv[1]}/api/v1/dags/{dag}/dagRuns/{urllib.parse.quote(run, safe=str())}"
    headers = {"Content-Type": "application/json",
               "Authorization": "Basic " + base64.b64encode(b"admin:admin").decode()}
    body = json.dumps({"state": "failed"}).encode()
    request = urllib.request.Request(address, body, headers, method="PATCH")
    urllib.request.urlopen(request, timeout=10).read()
'

# The runs in flight that hold paths: DAG, run, logical date, and whether it may be stopped. A
# backfill is not scheduled again after a clear, and a run that triggered another may wait for it.
census() {
  sql <<'SQL'
SELECT DISTINCT r.dag_id, r.run_id,
  to_char(r.execution_date AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
  CASE WHEN r.run_type = 'backfill' OR EXISTS (
    SELECT 1 FROM xcom t JOIN dag_run p ON p.id = t.dag_run_id
    WHERE t.key = 'trigger_run_id' AND p.state IN ('running', 'queued')
      AND t.value = convert_to(to_json(r.run_id)::text, 'UTF8'))
  THEN 'drain' ELSE 'stop' END
FROM dag_run r JOIN xcom x ON x.dag_run_id = r.id
WHERE r.state IN ('running', 'queued') AND octet_length(x.value) < 2048
  AND position(convert_to('"' || :'base' || '/', 'UTF8') IN x.value) = 1;
SQL
}

declare -A was_cleared=()

# Stop, empty and clear the runs that hold paths now; what may not be stopped, and what was cleared
# already, is left to end.
heal() {
  local found line dag run date way key keys=() ids=() lines=()
  step "census$1"
  # In a variable: a census that fails ends the script, and is not taken for an empty one.
  found=$(census)
  while read -r dag run date way; do
    key="$dag|$run"
    [ "${way:-}" = stop ] && [ -z "${was_cleared[$key]:-}" ] || continue
    keys+=("$key") ids+=("$run") lines+=("$dag $run $date")
  done <<<"$found"
  ((${#keys[@]})) || return 0

  step "stop$1"
  again scheduler python -c "$set_failed" "http://$RELEASE-webserver:8080" "${keys[@]}"
  local listed selector
  listed=$(printf '%s\n' "${keys[@]}")
  until [ "$(in_flight "$listed")" = 0 ]; do sleep 0.5; done

  step "end-pods$1"
  # With their own grace period, for on_kill; an attempt that outlives the clear spoils the re-run.
  selector="run_id in ($(IFS=,; echo "${ids[*]}"))"
  kubectl -n "$NAMESPACE" delete pod -l "kubernetes_executor=True,$selector" \
    --wait --timeout=120s >/dev/null
  until found=$(task_pods "$selector") && [ -z "$found" ]; do sleep 0.5; done

  step "empty$1"
  # A clear deletes no row: a task that the re-run skips would leave its path.
  sql -v "keys=$listed" <<'SQL'
DELETE FROM xcom x USING dag_run r
WHERE x.dag_run_id = r.id AND r.state NOT IN ('running', 'queued')
  AND r.dag_id || '|' || r.run_id = ANY (string_to_array(:'keys', E'\n'))
  AND octet_length(x.value) < 2048
  AND position(convert_to('"' || :'base' || '/', 'UTF8') IN x.value) = 1;
SQL

  step "clear$1"
  for line in "${lines[@]}"; do
    read -r dag run date <<<"$line"
    again scheduler airflow tasks clear --yes --start-date "$date" --end-date "$date" "$dag"
    was_cleared["$dag|$run"]=1
  done
  step "queued$1"
}

in_flight() {
  sql -v "keys=$1" <<'SQL'
SELECT count(*) FROM dag_run r WHERE r.state IN ('running', 'queued')
  AND r.dag_id || '|' || r.run_id = ANY (string_to_array(:'keys', E'\n'));
SQL
}

# Every long-lived pod is replaced, and none of the old ones is left.
replaced() {
  local workload workloads terminating
  workloads=$(kubectl -n "$NAMESPACE" get deployments,statefulsets -o name \
    -l "tier=airflow,release=$RELEASE")
  for workload in $workloads; do
    kubectl -n "$NAMESPACE" rollout status "$workload" --timeout=300s >/dev/null
  done
  until
    terminating=$(kubectl -n "$NAMESPACE" get pods -l "tier=airflow,release=$RELEASE" \
      -o jsonpath='{.items[?(@.metadata.deletionTimestamp)].metadata.name}') &&
      [ -z "$terminating" ]
  do sleep 0.5; done
}

step stop-writers
# Threshold -1, all else as it is: every process reads both kinds of rows, and writes inline.
helm get values "$RELEASE" --namespace "$NAMESPACE" --output json >"$folder/now.json"
helm upgrade "$RELEASE" "$CHART" --namespace "$NAMESPACE" --no-hooks --reset-values \
  --values "$folder/now.json" \
  --set-string 'config.common\.io.xcom_objectstorage_threshold=-1' >/dev/null
step writers-stopped
# A pod that is made this soon may still mount the old configuration.
sleep 3
task_pods >"$folder/old"

heal ""

step old-writers
replaced
until task_pods >"$folder/now" && ! grep -qxFf "$folder/old" "$folder/now"; do sleep 0.5; done

# From here on the set of rows with paths can only shrink.
heal "-again"
until left=$(census) && [ -z "$left" ]; do sleep 2; done

finished=$(sql <<'SQL'
SELECT count(*) FROM dag_run r JOIN xcom x ON x.dag_run_id = r.id
WHERE r.state NOT IN ('running', 'queued') AND octet_length(x.value) < 2048
  AND position(convert_to('"' || :'base' || '/', 'UTF8') IN x.value) = 1;
SQL
)
if [ "$finished" != 0 ] && [ "${FINISHED:-Hold}" != Accept ]; then
  echo "finished runs hold $finished paths: copy them back with xcom_probe.pyz rehydrate, or set" \
    "FINISHED=Accept. Threshold -1 stays: every process can read them" >&2
  exit 1
fi

step revert
# With the values from before the flip: Helm cannot take a value away by null (seen with 3.22).
helm upgrade "$RELEASE" "$CHART" --namespace "$NAMESPACE" --no-hooks --reset-values \
  --values "$VALUES" >/dev/null

step verify
replaced
left=$(census)
if [ -n "$left" ]; then
  echo "runs in flight hold paths: deliver threshold -1 again, and begin from the first step" >&2
  exit 1
fi
step verified

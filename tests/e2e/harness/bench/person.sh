#!/bin/bash
# The kill-switch by hand: the safe steps of docs/kill-switch.md in their order, with helm, kubectl
# and the airflow command where it has a verb for the step. Each line of output is the time a step
# began. Needs in the environment: NAMESPACE, RELEASE, CHART (a file), VALUES (the release's values of
# before the flip), BASE (the XCom path), and helm and kubectl that reach the cluster.
set -euo pipefail
: "${NAMESPACE:?}" "${RELEASE:?}" "${CHART:?}" "${VALUES:?}" "${BASE:?}"

step() { printf '%s %s\n' "$(date +%s.%N)" "$*"; }

scheduler() { kubectl -n "$NAMESPACE" exec -i "deploy/$RELEASE-scheduler" -c scheduler -- "$@"; }

# The columns of a result, separated by blanks; none of the values has one.
sql() {
  kubectl -n "$NAMESPACE" exec -i deploy/postgres -- \
    psql -h /tmp -U airflow -d airflow -AtqX -F ' ' -v ON_ERROR_STOP=1 -v "base=$BASE" -f -
}

# Pods are being replaced from the revert on: a command in one may fail, and is given again.
again() {
  local end=$((SECONDS + 120))
  until "$@" >/dev/null 2>/tmp/person-error.$$; do
    if ((SECONDS > end)); then cat /tmp/person-error.$$ >&2; return 1; fi
    sleep 0.2
  done
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

step pause
mapfile -t dags < <(sql <<'SQL'
SELECT DISTINCT d.dag_id FROM dag d JOIN dag_run r USING (dag_id)
WHERE r.state IN ('running', 'queued') AND NOT d.is_paused;
SQL
)
for dag in "${dags[@]}"; do again scheduler airflow dags pause --yes "$dag"; done

step revert
# With the values of before the flip: Helm cannot take a value away by null (seen with 3.22).
helm upgrade "$RELEASE" "$CHART" --namespace "$NAMESPACE" --no-hooks --reset-values \
  --values "$VALUES" >/dev/null

step census
mapfile -t runs < <(sql <<'SQL'
SELECT DISTINCT r.dag_id, r.run_id,
  to_char(r.execution_date AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')
FROM dag_run r JOIN xcom x ON x.dag_run_id = r.id
WHERE r.state IN ('running', 'queued') AND octet_length(x.value) < 2048
  AND position(convert_to('"' || :'base' || '/', 'UTF8') IN x.value) = 1;
SQL
)
[ ${#runs[@]} -gt 0 ] || { echo "no run holds offloaded values" >&2; exit 1; }

step stop
keys=() ids=
for line in "${runs[@]}"; do
  read -r dag run _ <<<"$line"
  keys+=("$dag|$run") ids+="${ids:+,}$run"
done
again scheduler python -c "$set_failed" "http://$RELEASE-webserver:8080" "${keys[@]}"

step end-pods
kubectl -n "$NAMESPACE" delete pod -l "component=worker,run_id in ($ids)" \
  --grace-period=1 --wait --timeout=120s >/dev/null

step clear
for line in "${runs[@]}"; do
  read -r dag _ date <<<"$line"
  again scheduler airflow tasks clear --yes --start-date "$date" --end-date "$date" "$dag"
done

step queued
for dag in "${dags[@]}"; do again scheduler airflow dags unpause --yes "$dag"; done
step released
rm -f /tmp/person-error.$$

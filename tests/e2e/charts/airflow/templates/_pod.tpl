{{/* The parts that the containers and pods of all components share. */}}

{{/* Variables that Airflow cannot start without. */}}
{{- define "airflow.env.builtIn" -}}
- name: AIRFLOW__CORE__FERNET_KEY
  valueFrom:
    secretKeyRef: {name: {{ include "airflow.fernetSecret" . }}, key: fernet-key}
- name: AIRFLOW_HOME
  value: {{ .Values.airflowHome }}
{{- range list "AIRFLOW__CORE__SQL_ALCHEMY_CONN" "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" "AIRFLOW_CONN_AIRFLOW_DB" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef: {name: {{ include "airflow.metadataSecret" $ }}, key: connection}
{{- end }}
{{- if include "airflow.is3" . }}
- name: AIRFLOW__API__SECRET_KEY
  valueFrom:
    secretKeyRef: {name: {{ include "airflow.apiSecret" . }}, key: api-secret-key}
- name: AIRFLOW__API_AUTH__JWT_SECRET
  valueFrom:
    secretKeyRef: {name: {{ include "airflow.jwtSecret" . }}, key: jwt-secret}
{{- else }}
- name: AIRFLOW__WEBSERVER__SECRET_KEY
  valueFrom:
    secretKeyRef: {name: {{ include "airflow.webserverSecret" . }}, key: webserver-secret-key}
{{- end }}
{{- if include "airflow.runs" (dict "root" . "executor" "CeleryExecutor") }}
- name: AIRFLOW__CELERY__BROKER_URL
  valueFrom:
    secretKeyRef: {name: {{ include "airflow.brokerSecret" . }}, key: connection}
{{- end }}
{{- end }}

{{/*
Variables that the values name; arguments: root, values (of the component).
The AIRFLOW__KUBERNETES_* copies do nothing in Airflow 2 and 3. The official chart sets them, so whatever
reads a pod's environment meets them there, and must meet them here.
*/}}
{{- define "airflow.env.custom" -}}
{{- $copied := include "airflow.runs" (dict "root" .root "executor" "KubernetesExecutor") }}
{{- range .root.Values.env }}
- name: {{ .name }}
  value: {{ .value | quote }}
{{- if $copied }}
- name: AIRFLOW__KUBERNETES_ENVIRONMENT_VARIABLES__{{ .name }}
  value: {{ .value | quote }}
{{- end }}
{{- end }}
{{- range .root.Values.secret }}
- name: {{ .envName }}
  valueFrom:
    secretKeyRef: {name: {{ tpl .secretName $.root }}, key: {{ .secretKey | default "value" }}}
{{- if $copied }}
- name: AIRFLOW__KUBERNETES_SECRETS__{{ .envName }}
  value: {{ printf "%s=%s" (tpl .secretName $.root) (.secretKey | default "value") | quote }}
{{- end }}
{{- end }}
{{- with .values.env }}
{{ toYaml . }}
{{- end }}
{{- with .root.Values.extraEnv }}
{{ include "airflow.text" (dict "root" $.root "key" "extraEnv" "value" .) }}
{{- end }}
{{- end }}

{{- define "airflow.envFrom" -}}
{{- with .Values.extraEnvFrom }}
envFrom:
{{ include "airflow.text" (dict "root" $ "key" "extraEnvFrom" "value" .) | indent 2 }}
{{- end }}
{{- end }}

{{/* A value that has to be a string of YAML; arguments: root, key, value. */}}
{{- define "airflow.text" -}}
{{- if not (kindIs "string" .value) -}}
{{- fail (printf "%s must be a string of YAML (write `%s: |`), got %s" .key .key (kindOf .value)) -}}
{{- end -}}
{{- tpl .value .root | trim -}}
{{- end }}

{{/* Arguments: root, values (of the component), dags (whether DAGs are in its pod). */}}
{{- define "airflow.volumeMounts" -}}
{{- $dags := .root.Values.dags -}}
- name: config
  mountPath: {{ .root.Values.airflowHome }}/airflow.cfg
  subPath: airflow.cfg
  readOnly: true
{{- if .root.Values.airflowLocalSettings }}
- name: config
  mountPath: {{ .root.Values.airflowHome }}/config/airflow_local_settings.py
  subPath: airflow_local_settings.py
  readOnly: true
{{- end }}
- name: logs
  mountPath: {{ .root.Values.airflowHome }}/logs
  {{- with .root.Values.logs.persistence.subPath }}
  subPath: {{ . }}
  {{- end }}
{{- if and .dags (or $dags.gitSync.enabled $dags.persistence.enabled) }}
- name: dags
  mountPath: {{ include "airflow.dagsMount" .root }}
  {{- with $dags.persistence.subPath }}
  subPath: {{ . }}
  {{- end }}
  readOnly: true
{{- end }}
{{- with .root.Values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- with .values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
Arguments: root, values (of the component), dags (whether DAGs are in its pod), claimed (whether it
claims the volume `logs`).
*/}}
{{- define "airflow.volumes" -}}
{{- $values := .root.Values -}}
{{- $fullname := include "airflow.fullname" .root -}}
- name: config
  configMap:
    name: {{ include "airflow.configName" .root }}
{{- if $values.logs.persistence.enabled }}
- name: logs
  persistentVolumeClaim:
    claimName: {{ $values.logs.persistence.existingClaim | default (printf "%s-logs" $fullname) }}
{{- else if not .claimed }}
- name: logs
  emptyDir: {}
{{- end }}
{{- if .dags }}
{{- if $values.dags.gitSync.enabled }}
- name: dags
  emptyDir: {}
{{- else if $values.dags.persistence.enabled }}
- name: dags
  persistentVolumeClaim:
    claimName: {{ $values.dags.persistence.existingClaim | default (printf "%s-dags" $fullname) }}
{{- end }}
{{- end }}
{{- with $values.volumes }}
{{ toYaml . }}
{{- end }}
{{- with .values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The container that pulls DAGs by git; arguments: root, once (it ends when they are there). */}}
{{- define "airflow.gitSync" -}}
{{- $sync := .root.Values.dags.gitSync -}}
{{- $image := .root.Values.images.gitSync -}}
- name: {{ $sync.containerName }}{{ if .once }}-init{{ end }}
  image: {{ $image.repository }}:{{ $image.tag }}
  imagePullPolicy: {{ $image.pullPolicy }}
  securityContext: {{- toYaml .root.Values.securityContexts.containers | nindent 4 }}
  env:
    {{- range $name, $value := dict
        "REPO" $sync.repo "REF" $sync.ref "DEPTH" $sync.depth "PERIOD" $sync.period
        "ROOT" "/git" "LINK" "repo" "ONE_TIME" .once }}
    - {name: GITSYNC_{{ $name }}, value: {{ $value | toString | quote }}}
    {{- end }}
  resources: {{- toYaml $sync.resources | nindent 4 }}
  volumeMounts:
    - {name: dags, mountPath: /git}
{{- end }}

{{- define "airflow.podSecurityContext" -}}
{{- if .Values.securityContexts.pod -}}
{{ toYaml .Values.securityContexts.pod }}
{{- else -}}
runAsUser: {{ .Values.uid }}
runAsNonRoot: true
fsGroup: {{ .Values.gid }}
{{- end }}
{{- end }}

{{/* Where the pod runs, and with which pull secret; arguments: root, values (of the component). */}}
{{- define "airflow.placement" -}}
{{- with .root.Values.registry.secretName }}
imagePullSecrets: [{name: {{ . }}}]
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Init container that ends when the schema is current; arguments: root, values, customEnv. */}}
{{- define "airflow.waitForMigrations" -}}
- name: wait-for-airflow-migrations
  image: {{ include "airflow.image" .root }}
  imagePullPolicy: {{ .root.Values.images.airflow.pullPolicy }}
  securityContext: {{- toYaml .root.Values.securityContexts.containers | nindent 4 }}
  args: [airflow, db, check-migrations, --migration-wait-timeout=60]
  {{- if .customEnv }}
  {{- with include "airflow.envFrom" .root }}{{ . | trim | nindent 2 }}{{ end }}
  {{- end }}
  env:
    {{- include "airflow.env.builtIn" .root | nindent 4 }}
    {{- if .customEnv }}
    {{- with include "airflow.env.custom" . }}{{ . | trim | nindent 4 }}{{ end }}
    {{- end }}
  volumeMounts:
    {{- include "airflow.volumeMounts" (dict "root" .root "values" dict) | nindent 4 }}
{{- end }}

{{/* Annotations that make a pod template change when what its pods read has changed. */}}
{{- define "airflow.checksums" -}}
checksum/airflow-config: {{ include (print .Template.BasePath "/configmap.yaml") . | sha256sum }}
checksum/metadata-secret: {{ include (print .Template.BasePath "/secret-metadata.yaml") . | sha256sum }}
checksum/pgbouncer-config-secret: {{ include (print .Template.BasePath "/secret-pgbouncer.yaml") . | sha256sum }}
checksum/extra-configmaps: {{ include (print .Template.BasePath "/extra-configmaps.yaml") . | sha256sum }}
checksum/extra-secrets: {{ include (print .Template.BasePath "/extra-secrets.yaml") . | sha256sum }}
{{- end }}

{{/* Of pods that read the web server's key, and are replaced with it. */}}
{{- define "airflow.webserverKeyChecksum" -}}
checksum/webserver-secret-key: {{ include (print .Template.BasePath "/secret-webserver-key.yaml") . | sha256sum }}
{{- end }}

{{/* Probes of a web server, from the values of its component; arguments: values, path. */}}
{{- define "airflow.httpProbes" -}}
{{- $probes := dict }}
{{- $get := dict "httpGet" (dict "path" .path "port" 8080) }}
{{- range list "livenessProbe" "readinessProbe" "startupProbe" }}
{{- $_ := set $probes . (merge dict (get $.values .) $get) }}
{{- end }}
{{- toYaml $probes }}
{{- end }}

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
{{- end }}

{{/*
Variables that the values name; arguments: root, values (of the component).
The AIRFLOW__KUBERNETES_* copies do nothing in Airflow 2 and 3. The official chart sets them, so whatever
reads a pod's environment meets them there, and must meet them here.
*/}}
{{- define "airflow.env.custom" -}}
{{- range .root.Values.env }}
- name: {{ .name }}
  value: {{ .value | quote }}
- name: AIRFLOW__KUBERNETES_ENVIRONMENT_VARIABLES__{{ .name }}
  value: {{ .value | quote }}
{{- end }}
{{- range .root.Values.secret }}
- name: {{ .envName }}
  valueFrom:
    secretKeyRef: {name: {{ tpl .secretName $.root }}, key: {{ .secretKey | default "value" }}}
- name: AIRFLOW__KUBERNETES_SECRETS__{{ .envName }}
  value: {{ printf "%s=%s" (tpl .secretName $.root) (.secretKey | default "value") | quote }}
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

{{/* Arguments: root, values (of the component). */}}
{{- define "airflow.volumeMounts" -}}
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
{{- with .root.Values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- with .values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Arguments: root, values (of the component), claimed (whether its pod claims the volume `logs`). */}}
{{- define "airflow.volumes" -}}
- name: config
  configMap:
    name: {{ include "airflow.configName" .root }}
{{- if not .claimed }}
- name: logs
  emptyDir: {}
{{- end }}
{{- with .root.Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- with .values.extraVolumes }}
{{ toYaml . }}
{{- end }}
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
checksum/extra-configmaps: {{ include (print .Template.BasePath "/extra-configmaps.yaml") . | sha256sum }}
checksum/extra-secrets: {{ include (print .Template.BasePath "/extra-secrets.yaml") . | sha256sum }}
{{- end }}

{{/* Of pods that read the web server's key, and are replaced with it. */}}
{{- define "airflow.webserverKeyChecksum" -}}
checksum/webserver-secret-key: {{ include (print .Template.BasePath "/secret-webserver-key.yaml") . | sha256sum }}
{{- end }}

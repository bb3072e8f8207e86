{{/* Names, paths and labels. */}}

{{- define "airflow.fullname" -}}
{{- $name := .Release.Name -}}
{{- if and .Values.useStandardNaming (not (contains .Chart.Name $name)) -}}
{{- $name = printf "%s-%s" $name .Chart.Name -}}
{{- end -}}
{{- .Values.fullnameOverride | default $name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "airflow.configName" -}}{{ include "airflow.fullname" . }}-config{{- end }}

{{- define "airflow.dagsMount" -}}
{{- .Values.dags.mountPath | default (printf "%s/dags" .Values.airflowHome) -}}
{{- end }}

{{/* Where Airflow looks for DAGs: git-sync keeps a link `repo` below what is mounted. */}}
{{- define "airflow.dagsFolder" -}}
{{- $folder := include "airflow.dagsMount" . -}}
{{- if .Values.dags.gitSync.enabled -}}
{{- $folder = printf "%s/repo/%s" $folder .Values.dags.gitSync.subPath | trimSuffix "/" -}}
{{- end -}}
{{- $folder -}}
{{- end }}

{{- define "airflow.podTemplatePath" -}}
{{- .Values.airflowHome }}/pod_templates/pod_template_file.yaml
{{- end }}

{{- define "airflow.image" -}}
{{- .Values.images.airflow.repository }}:{{ .Values.images.airflow.tag }}
{{- end }}

{{- define "airflow.metadataSecret" -}}
{{- .Values.data.metadataSecretName | default (printf "%s-metadata" (include "airflow.fullname" .)) -}}
{{- end }}

{{- define "airflow.fernetSecret" -}}
{{- .Values.fernetKeySecretName | default (printf "%s-fernet-key" (include "airflow.fullname" .)) -}}
{{- end }}

{{- define "airflow.webserverSecret" -}}
{{- .Values.webserverSecretKeySecretName
    | default (printf "%s-webserver-secret-key" (include "airflow.fullname" .)) -}}
{{- end }}

{{- define "airflow.apiSecret" -}}
{{- .Values.apiSecretKeySecretName | default (printf "%s-api-secret-key" (include "airflow.fullname" .)) -}}
{{- end }}

{{- define "airflow.jwtSecret" -}}
{{- .Values.jwtSecretName | default (printf "%s-jwt-secret" (include "airflow.fullname" .)) -}}
{{- end }}

{{- define "airflow.redisSecret" -}}
{{- .Values.redis.passwordSecretName | default (printf "%s-redis-password" (include "airflow.fullname" .)) -}}
{{- end }}

{{- define "airflow.brokerSecret" -}}
{{- .Values.data.brokerUrlSecretName | default (printf "%s-broker-url" (include "airflow.fullname" .)) -}}
{{- end }}

{{/* "true" for Airflow 3, else empty: `airflowVersion` decides, as in the official chart. */}}
{{- define "airflow.is3" -}}
{{- if semverCompare ">=3.0.0" .Values.airflowVersion }}true{{ end -}}
{{- end }}

{{/* "true" where the DAG processor is a Deployment: always in Airflow 3, on request in Airflow 2. */}}
{{- define "airflow.dagProcessorEnabled" -}}
{{- if kindIs "invalid" .Values.dagProcessor.enabled }}{{ include "airflow.is3" . }}
{{- else if .Values.dagProcessor.enabled }}true{{ end -}}
{{- end }}

{{/* "true" where the executor, or one of a list of them, is this one; arguments: root, executor. */}}
{{- define "airflow.runs" -}}
{{- $both := replace "CeleryKubernetesExecutor" "CeleryExecutor,KubernetesExecutor" .root.Values.executor }}
{{- if has .executor (splitList "," $both) }}true{{ end -}}
{{- end }}

{{/* Path of `webserver.base_url`, below which Airflow 2 serves everything; empty without one. */}}
{{- define "airflow.webPath" -}}
{{- with (.Values.config.webserver | default dict).base_url -}}
{{- (tpl . $ | urlParse).path | trimSuffix "/" -}}
{{- end -}}
{{- end }}

{{/* Name of the component that serves the REST API. */}}
{{- define "airflow.webComponent" -}}
{{- ternary "api-server" "webserver" (eq "true" (include "airflow.is3" .)) -}}
{{- end }}

{{/* Labels of objects; arguments: root, component. */}}
{{- define "airflow.labels" -}}
tier: airflow
component: {{ .component }}
release: {{ .root.Release.Name }}
chart: "{{ .root.Chart.Name }}-{{ .root.Chart.Version }}"
heritage: {{ .root.Release.Service }}
{{- with .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels that select the pods of a component; arguments: root, component, set (of workers). */}}
{{- define "airflow.selector" -}}
tier: airflow
component: {{ .component }}
release: {{ .root.Release.Name }}
{{- with .set }}
worker-set: {{ . }}
{{- end }}
{{- end }}

{{/* Labels of pods; arguments: root, component, values (of the component), set (of workers). */}}
{{- define "airflow.podLabels" -}}
{{ include "airflow.selector" . }}
{{- with merge dict (.values.labels | default dict) .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Arguments: root, component, values (of the component). */}}
{{- define "airflow.serviceAccount" -}}
{{- .values.serviceAccount.name
    | default (printf "%s-%s" (include "airflow.fullname" .root) .component) -}}
{{- end }}

{{/* Names, paths and labels. */}}

{{- define "airflow.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "airflow.configName" -}}{{ include "airflow.fullname" . }}-config{{- end }}

{{- define "airflow.dagsFolder" -}}
{{- .Values.dags.mountPath | default (printf "%s/dags" .Values.airflowHome) -}}
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

{{/* "true" for Airflow 3, else empty: `airflowVersion` decides, as in the official chart. */}}
{{- define "airflow.is3" -}}
{{- if semverCompare ">=3.0.0" .Values.airflowVersion }}true{{ end -}}
{{- end }}

{{/* "true" where the DAG processor is a Deployment: always in Airflow 3, on request in Airflow 2. */}}
{{- define "airflow.dagProcessorEnabled" -}}
{{- if kindIs "invalid" .Values.dagProcessor.enabled }}{{ include "airflow.is3" . }}
{{- else if .Values.dagProcessor.enabled }}true{{ end -}}
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

{{/* Labels of pods; arguments: root, component, values (of the component). */}}
{{- define "airflow.podLabels" -}}
tier: airflow
component: {{ .component }}
release: {{ .root.Release.Name }}
{{- with merge dict (.values.labels | default dict) .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Arguments: root, component, values (of the component). */}}
{{- define "airflow.serviceAccount" -}}
{{- .values.serviceAccount.name
    | default (printf "%s-%s" (include "airflow.fullname" .root) .component) -}}
{{- end }}

{{/*
The Secret of one key of Airflow. One that is not given is another one at each render, as with the
official chart, which looks nothing up. Arguments: root, name, key, component, given, once (whether the
install alone makes it, so that it outlives every upgrade).
*/}}
{{- define "airflow.keySecret" -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ .name }}
  labels: {{- include "airflow.labels" . | nindent 4 }}
  {{- if .once }}
  annotations: {{- include "airflow.onlyAtInstall" . | nindent 4 }}
  {{- end }}
type: Opaque
data:
  {{ .key }}: {{ .given | b64enc | quote }}
{{- end }}

{{/* Annotations of what no upgrade touches. */}}
{{- define "airflow.onlyAtInstall" -}}
helm.sh/hook: pre-install
helm.sh/hook-weight: "0"
helm.sh/hook-delete-policy: before-hook-creation
{{- end }}

{{/*
A Role and its binding; of the whole cluster where tasks may be in any namespace. Arguments: root, name,
rules (YAML text), accounts.
*/}}
{{- define "airflow.role" -}}
{{- $kind := ternary "ClusterRole" "Role" .root.Values.multiNamespaceMode -}}
{{- $name := printf "%s-%s" (include "airflow.fullname" .root) .name -}}
{{- $labels := include "airflow.labels" (dict "root" .root "component" "rbac") -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ $name }}-role
  labels: {{- $labels | nindent 4 }}
rules: {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ $name }}-rolebinding
  labels: {{- $labels | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ $kind }}, name: {{ $name }}-role}
subjects:
  {{- range .accounts }}
  - {kind: ServiceAccount, name: {{ . }}, namespace: {{ $.root.Release.Namespace }}}
  {{- end }}
{{- end }}

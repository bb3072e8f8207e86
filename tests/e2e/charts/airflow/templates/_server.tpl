{{/*
A server beside Airflow, with its Service; it has no Airflow in it. Arguments: root, component, values,
image, port, command, kind; checksums (annotations), more (of its container), volumes, claims, as YAML
text.
*/}}
{{- define "airflow.server" -}}
{{- $name := printf "%s-%s" (include "airflow.fullname" .root) .component -}}
apiVersion: apps/v1
kind: {{ .kind }}
metadata:
  name: {{ $name }}
  labels: {{- include "airflow.labels" . | nindent 4 }}
spec:
  replicas: 1
  {{- if eq .kind "StatefulSet" }}
  serviceName: {{ $name }}
  {{- end }}
  selector:
    matchLabels: {{- include "airflow.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "airflow.podLabels" . | nindent 8 }}
      {{- with .checksums }}
      annotations: {{- . | nindent 8 }}
      {{- end }}
    spec:
      containers:
        - name: {{ .component }}
          image: {{ .image.repository }}:{{ .image.tag }}
          imagePullPolicy: {{ .image.pullPolicy }}
          securityContext: {{- toYaml .root.Values.securityContexts.containers | nindent 12 }}
          command: {{- toYaml .command | nindent 12 }}
          ports:
            - {name: {{ .component }}, containerPort: {{ .port }}}
          resources: {{- toYaml .values.resources | nindent 12 }}
          {{- .more | nindent 10 }}
      {{- with .volumes }}
      volumes: {{- . | nindent 8 }}
      {{- end }}
  {{- with .claims }}
  volumeClaimTemplates: {{- . | nindent 4 }}
  {{- end }}
---
{{ include "airflow.service" (set .
  "values" (dict "type" "ClusterIP" "ports" (list (dict "name" .component "port" .port)))) }}
{{- end }}

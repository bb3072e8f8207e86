{{/*
One long-running component. Arguments: root, component (the label and name suffix), values,
ports (YAML text), probes (YAML text), extraMounts (YAML text), checksums (YAML text of annotations).
*/}}
{{- define "airflow.deployment" -}}
{{- $root := .root -}}
{{- $values := .values -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "airflow.fullname" $root }}-{{ .component }}
  labels: {{- include "airflow.labels" . | nindent 4 }}
  {{- with $values.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  replicas: {{ $values.replicas }}
  {{- with $values.strategy }}
  strategy: {{- toYaml . | nindent 4 }}
  {{- end }}
  selector:
    matchLabels:
      tier: airflow
      component: {{ .component }}
      release: {{ $root.Release.Name }}
  template:
    metadata:
      labels: {{- include "airflow.podLabels" . | nindent 8 }}
      annotations:
        {{- include "airflow.checksums" $root | nindent 8 }}
        {{- with .checksums }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with merge dict ($values.podAnnotations | default dict) $root.Values.airflowPodAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "airflow.serviceAccount" . }}
      terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
      securityContext: {{- include "airflow.podSecurityContext" $root | nindent 8 }}
      {{- with include "airflow.placement" . }}{{ . | trim | nindent 6 }}{{ end }}
      {{- if or $values.waitForMigrations.enabled $values.extraInitContainers }}
      initContainers:
        {{- if $values.waitForMigrations.enabled }}
        {{- include "airflow.waitForMigrations" (merge (dict "customEnv" true) .) | nindent 8 }}
        {{- end }}
        {{- with $values.extraInitContainers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ include "airflow.image" $root }}
          imagePullPolicy: {{ $root.Values.images.airflow.pullPolicy }}
          securityContext: {{- toYaml $root.Values.securityContexts.containers | nindent 12 }}
          args: {{- toYaml $values.args | nindent 12 }}
          {{- with .ports }}
          ports: {{- . | nindent 12 }}
          {{- end }}
          resources: {{- toYaml $values.resources | nindent 12 }}
          {{- with .probes }}
          {{- . | nindent 10 }}
          {{- end }}
          {{- with include "airflow.envFrom" $root }}{{ . | trim | nindent 10 }}{{ end }}
          env:
            {{- include "airflow.env.builtIn" $root | nindent 12 }}
            {{- with include "airflow.env.custom" . }}{{ . | trim | nindent 12 }}{{ end }}
          volumeMounts:
            {{- include "airflow.volumeMounts" . | nindent 12 }}
            {{- with .extraMounts }}
            {{- . | nindent 12 }}
            {{- end }}
        {{- with $values.extraContainers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      volumes: {{- include "airflow.volumes" . | nindent 8 }}
{{- end }}

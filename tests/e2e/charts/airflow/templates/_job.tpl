{{/*
A Job that runs Airflow once. Arguments: root, component, name, values, args (YAML text),
weight (order among hooks), wait (whether the schema has to be there first).
*/}}
{{- define "airflow.job" -}}
{{- $root := .root -}}
{{- $values := .values -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "airflow.fullname" $root }}-{{ .name }}
  labels: {{- include "airflow.labels" . | nindent 4 }}
  annotations:
    {{- if $values.useHelmHooks }}
    helm.sh/hook: post-install,post-upgrade
    helm.sh/hook-weight: {{ .weight | quote }}
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
    {{- end }}
    {{- with $values.jobAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- if not (kindIs "invalid" $values.ttlSecondsAfterFinished) }}
  ttlSecondsAfterFinished: {{ $values.ttlSecondsAfterFinished }}
  {{- end }}
  template:
    metadata:
      labels: {{- include "airflow.podLabels" . | nindent 8 }}
      {{- with merge dict $values.annotations $root.Values.airflowPodAnnotations }}
      annotations: {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      restartPolicy: OnFailure
      serviceAccountName: {{ include "airflow.serviceAccount" . }}
      securityContext: {{- include "airflow.podSecurityContext" $root | nindent 8 }}
      {{- with include "airflow.placement" . }}{{ . | trim | nindent 6 }}{{ end }}
      {{- if .wait }}
      initContainers:
        {{- include "airflow.waitForMigrations" (merge (dict "customEnv" $values.applyCustomEnv) .) | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .name }}
          image: {{ include "airflow.image" $root }}
          imagePullPolicy: {{ $root.Values.images.airflow.pullPolicy }}
          securityContext: {{- toYaml $root.Values.securityContexts.containers | nindent 12 }}
          args: {{- .args | nindent 12 }}
          resources: {{- toYaml $values.resources | nindent 12 }}
          {{- if $values.applyCustomEnv }}
          {{- with include "airflow.envFrom" $root }}{{ . | trim | nindent 10 }}{{ end }}
          {{- end }}
          env:
            {{- include "airflow.env.builtIn" $root | nindent 12 }}
            {{- if $values.applyCustomEnv }}
            {{- with include "airflow.env.custom" . }}{{ . | trim | nindent 12 }}{{ end }}
            {{- end }}
          volumeMounts: {{- include "airflow.volumeMounts" . | nindent 12 }}
      volumes: {{- include "airflow.volumes" . | nindent 8 }}
{{- end }}

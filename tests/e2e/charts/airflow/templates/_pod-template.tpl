{{/* The pod of a task: the scheduler reads it, KubernetesExecutor fills in name, args and labels. */}}
{{- define "airflow.podTemplate" -}}
{{- $args := dict "root" . "component" "worker" "values" .Values.workers "dags" true -}}
apiVersion: v1
kind: Pod
metadata:
  name: placeholder-name
  labels: {{- include "airflow.podLabels" $args | nindent 4 }}
  {{- with merge dict .Values.workers.podAnnotations .Values.airflowPodAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  restartPolicy: Never
  serviceAccountName: {{ include "airflow.serviceAccount" $args }}
  terminationGracePeriodSeconds: {{ .Values.workers.terminationGracePeriodSeconds }}
  securityContext: {{- include "airflow.podSecurityContext" . | nindent 4 }}
  {{- with include "airflow.placement" $args }}{{ . | trim | nindent 2 }}{{ end }}
  {{- if or .Values.dags.gitSync.enabled .Values.workers.extraInitContainers }}
  initContainers:
    {{- if .Values.dags.gitSync.enabled }}
    {{- include "airflow.gitSync" (dict "root" . "once" true) | nindent 4 }}
    {{- end }}
    {{- with .Values.workers.extraInitContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  containers:
    - name: base
      image: {{ include "airflow.image" . }}
      imagePullPolicy: {{ .Values.images.airflow.pullPolicy }}
      securityContext: {{- toYaml .Values.securityContexts.containers | nindent 8 }}
      resources: {{- toYaml .Values.workers.resources | nindent 8 }}
      {{- with include "airflow.envFrom" . }}{{ . | trim | nindent 6 }}{{ end }}
      env:
        # The task's own process runs what it is given; only the scheduler launches pods.
        - name: AIRFLOW__CORE__EXECUTOR
          value: LocalExecutor
        {{- include "airflow.env.builtIn" . | nindent 8 }}
        {{- with include "airflow.env.custom" $args }}{{ . | trim | nindent 8 }}{{ end }}
      volumeMounts: {{- include "airflow.volumeMounts" $args | nindent 8 }}
    {{- with .Values.workers.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes: {{- include "airflow.volumes" $args | nindent 4 }}
{{- end }}

{{/*
One long-running component: a StatefulSet where it claims a volume for its logs, else a Deployment.
Arguments: root, component (the label and name suffix), values,
ports (YAML text), probes (YAML text), extraMounts (YAML text), checksums (YAML text of annotations).
*/}}
{{- define "airflow.workload" -}}
{{- $root := .root -}}
{{- $values := .values -}}
{{- $claim := $values.persistence | default dict -}}
{{- $args := merge (dict "claimed" ($claim.enabled | default false)) . -}}
apiVersion: apps/v1
kind: {{ ternary "StatefulSet" "Deployment" $args.claimed }}
metadata:
  name: {{ include "airflow.fullname" $root }}-{{ .component }}
  labels: {{- include "airflow.labels" . | nindent 4 }}
  {{- with $values.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  replicas: {{ $values.replicas }}
  {{- if $args.claimed }}
  serviceName: {{ include "airflow.fullname" $root }}-{{ .component }}
  {{- range $field, $value := dict
      "updateStrategy" $values.updateStrategy
      "podManagementPolicy" $values.podManagementPolicy
      "persistentVolumeClaimRetentionPolicy" $claim.persistentVolumeClaimRetentionPolicy }}
  {{- if $value }}
  {{ $field }}: {{ toJson $value }}
  {{- end }}
  {{- end }}
  {{- else }}
  {{- with $values.strategy }}
  strategy: {{- toYaml . | nindent 4 }}
  {{- end }}
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
      volumes: {{- include "airflow.volumes" $args | nindent 8 }}
  {{- if $args.claimed }}
  volumeClaimTemplates:
    - metadata:
        name: logs
        {{- with $claim.annotations }}
        annotations: {{- toYaml . | nindent 10 }}
        {{- end }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $claim.storageClassName }}
        storageClassName: {{ tpl . $root | quote }}
        {{- end }}
        resources:
          requests:
            storage: {{ $claim.size }}
  {{- end }}
{{- end }}

{{/*
The Service by which the pods of a component have names, and give their logs. Arguments: root,
component, port.
*/}}
{{- define "airflow.logService" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "airflow.fullname" .root }}-{{ .component }}
  labels: {{- include "airflow.labels" . | nindent 4 }}
spec:
  clusterIP: None
  selector:
    tier: airflow
    component: {{ .component }}
    release: {{ .root.Release.Name }}
  ports:
    - name: {{ .component }}-logs
      port: {{ .port }}
{{- end }}

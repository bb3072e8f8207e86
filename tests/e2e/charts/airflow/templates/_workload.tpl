{{/*
One long-running component: a StatefulSet where it claims a volume for its logs, else a Deployment.
Arguments: root, component (a label, and the name of the main container), values; name (by default
the component; the suffix of the object's name), set (of workers, in a label); ports, probes,
extraMounts, env, checksums (annotations), as YAML text; dags (whether DAGs are in its pods).
*/}}
{{- define "airflow.workload" -}}
{{- $root := .root -}}
{{- $values := .values -}}
{{- $name := printf "%s-%s" (include "airflow.fullname" $root) (.name | default .component) -}}
{{- $claim := $values.persistence | default dict -}}
{{- $args := merge (dict "claimed" ($claim.enabled | default false)) . -}}
{{- $synced := and .dags $root.Values.dags.gitSync.enabled -}}
apiVersion: apps/v1
kind: {{ ternary "StatefulSet" "Deployment" $args.claimed }}
metadata:
  name: {{ $name }}
  labels: {{- include "airflow.labels" . | nindent 4 }}
  {{- with $values.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- if not (($values.keda | default dict).enabled) }}
  replicas: {{ $values.replicas }}
  {{- end }}
  {{- if $args.claimed }}
  serviceName: {{ $name }}
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
    matchLabels: {{- include "airflow.selector" . | nindent 6 }}
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
      {{- $owned := and $args.claimed $claim.fixPermissions }}
      {{- if or $owned $values.waitForMigrations.enabled $synced $values.extraInitContainers }}
      initContainers:
        {{- if $owned }}
        - name: volume-permissions
          image: {{ include "airflow.image" $root }}
          imagePullPolicy: {{ $root.Values.images.airflow.pullPolicy }}
          command: [chown, -R, "{{ $root.Values.uid }}:{{ $root.Values.gid }}", "{{ $root.Values.airflowHome }}/logs"]
          securityContext: {runAsUser: 0, runAsNonRoot: false}
          volumeMounts:
            - name: logs
              mountPath: {{ $root.Values.airflowHome }}/logs
        {{- end }}
        {{- if $values.waitForMigrations.enabled }}
        {{- include "airflow.waitForMigrations" (merge (dict "customEnv" true) .) | nindent 8 }}
        {{- end }}
        {{- if $synced }}
        {{- include "airflow.gitSync" (dict "root" $root "once" true) | nindent 8 }}
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
          {{- with $values.command }}
          command: {{- toYaml . | nindent 12 }}
          {{- end }}
          args: {{- toYaml (.args | default $values.args) | nindent 12 }}
          {{- with .ports }}
          ports: {{- . | nindent 12 }}
          {{- end }}
          resources: {{- toYaml $values.resources | nindent 12 }}
          {{- with .probes }}
          {{- . | nindent 10 }}
          {{- end }}
          {{- with include "airflow.envFrom" $root }}{{ . | trim | nindent 10 }}{{ end }}
          env:
            {{- with .env }}
            {{- . | nindent 12 }}
            {{- end }}
            {{- include "airflow.env.builtIn" $root | nindent 12 }}
            {{- with include "airflow.env.custom" . }}{{ . | trim | nindent 12 }}{{ end }}
          volumeMounts:
            {{- include "airflow.volumeMounts" $args | nindent 12 }}
            {{- with .extraMounts }}
            {{- . | nindent 12 }}
            {{- end }}
        {{- if $synced }}
        {{- include "airflow.gitSync" (dict "root" $root "once" false) | nindent 8 }}
        {{- end }}
        {{- with $values.extraContainers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with include "airflow.volumes" $args }}
      volumes: {{- . | nindent 8 }}
      {{- end }}
  {{- if and $args.claimed (not $root.Values.logs.persistence.enabled) }}
  volumeClaimTemplates:
    - {{- include "airflow.claim" (dict "root" $root "name" "logs" "values" $claim) | nindent 6 }}
  {{- end }}
{{- end }}

{{/* Metadata and spec of a claim; arguments: root, name, values (of the persistence). */}}
{{- define "airflow.claim" -}}
metadata:
  name: {{ .name }}
  {{- with .values.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  accessModes: [{{ .values.accessMode | default "ReadWriteOnce" }}]
  {{- with .values.storageClassName }}
  storageClassName: {{ tpl . $.root | quote }}
  {{- end }}
  resources:
    requests:
      storage: {{ .values.size }}
{{- end }}

{{/*
A Service of a component. Arguments: root, component, name (by default the component), values (type,
annotations, ports); without a type it has no address, and gives the pods names.
*/}}
{{- define "airflow.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "airflow.fullname" .root }}-{{ .name | default .component }}
  labels: {{- include "airflow.labels" . | nindent 4 }}
  {{- with .values.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .values.type }}
  type: {{ . }}
  {{- else }}
  clusterIP: None
  {{- end }}
  selector: {{- include "airflow.selector" . | nindent 4 }}
  ports: {{- toYaml .values.ports | nindent 4 }}
{{- end }}

{{/* Who may connect to a component. Arguments: root, component, from (a list), ports (numbers). */}}
{{- define "airflow.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "airflow.fullname" .root }}-{{ .component }}-policy
  labels: {{- include "airflow.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "airflow.selector" . | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
    - from: {{- toYaml .from | nindent 8 }}
      ports:
        {{- range .ports }}
        - {protocol: TCP, port: {{ . }}}
        {{- end }}
{{- end }}

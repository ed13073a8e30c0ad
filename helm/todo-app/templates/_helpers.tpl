{{/* Name that all objects begin with: the release's own name where it already holds the chart's. */}}
{{- define "todo-app.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of every object. Takes a dict of root (the chart's scope) and component. */}}
{{- define "todo-app.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{ include "todo-app.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: {{ .root.Chart.Name }}
{{- end -}}

{{/* Labels by which a service and a deployment find their pods: these never change. */}}
{{- define "todo-app.selectorLabels" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Rights that every pod gives up. The user is the one that both images are made with. */}}
{{- define "todo-app.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "todo-app.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end -}}

{{/*
A stopping pod goes on serving for two seconds while the cluster takes it out of the service, so that no new
connection meets a closed door.
*/}}
{{- define "todo-app.lifecycle" -}}
preStop:
  exec:
    command: ["sleep", "2"]
{{- end -}}

{{/* Secret that the backend reads: the chart's own, or the one that is there already. */}}
{{- define "todo-app.secretName" -}}
{{- .Values.existingSecret | default (printf "%s-secrets" (include "todo-app.fullname" .)) -}}
{{- end -}}

{{/* The database's address, as Secrets hold it. */}}
{{- define "todo-app.databaseUrl" -}}
{{- required "secrets.databaseUrl is required: --set secrets.databaseUrl=postgresql://... or --set existingSecret=NAME" .Values.secrets.databaseUrl | b64enc | quote -}}
{{- end -}}

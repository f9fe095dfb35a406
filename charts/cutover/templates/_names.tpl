{{- define "cutover.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "cutover.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "cutover.name" .) -}}
{{- end -}}

{{- define "cutover.selectorLabels" -}}
app.kubernetes.io/name: cutover
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "cutover.labels" -}}
{{ include "cutover.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* How Prometheus reaches /metrics when it must show a token; for both kinds of monitor. */ -}}
{{- define "cutover.metricsTls" -}}
{{- if .Values.metrics.authorization.certificateSecret -}}
serverName: {{ include "cutover.name" . }}-metrics.{{ .Release.Namespace }}.svc
ca:
  secret: {name: {{ .Values.metrics.authorization.certificateSecret }}, key: ca.crt}
{{- else -}}
# The operator's certificate is its own making; nobody can verify it.
insecureSkipVerify: true
{{- end -}}
{{- end -}}

{{- define "cutover.metricsToken" -}}
{{- with .Values.metrics.authorization.tokenSecret -}}
credentials: {name: {{ .name }}, key: {{ .key }}}
{{- end -}}
{{- end -}}

{{- /* Alerts (text) with links to where the runbooks are, or, if nobody said where, with their names in docs/. */}}
{{- define "cutover.alerts" -}}
{{- $home := "https://cutover.dev/runbooks" }}
{{- if .url }}
{{- .text | replace $home .url }}
{{- else }}
{{- regexReplaceAll (printf "runbook_url: %s/(\\w+)" $home) .text "runbook: docs/runbooks/${1}.md" }}
{{- end }}
{{- end -}}

{{- /* A dashboard (text) with links to where the runbooks are, or, if nobody said where, without them. */}}
{{- define "cutover.dashboard" -}}
{{- $home := "https://cutover.dev/runbooks" }}
{{- if .url }}
{{- .text | replace $home .url }}
{{- else }}
{{- $without := regexReplaceAll (printf ",?\\s*\\{[^{}]*\"url\": \"%s[^{}]*\\}" $home) .text "" }}
{{- regexReplaceAll "\\[\\s*," $without "[" }}
{{- end }}
{{- end -}}

{{- define "cutover.selfTestLabels" -}}
app.kubernetes.io/name: cutover-self-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "cutover.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "cutover.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "cutover.name" .) -}}
{{- end -}}

{{- /* The Lease that an operator with these arguments elects its leader by. */ -}}
{{- define "cutover.leaseOf" -}}
{{- $name := "cutover-operator" -}}
{{- range . -}}
{{- if hasPrefix "--lease-name=" . -}}
{{- $name = trimPrefix "--lease-name=" . -}}
{{- end -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- /*
Refuses, as far as the cluster can be asked (not where the templates are only rendered), a Lease that another release of
this namespace elects by, whose operators and ours would stand by for each other; and another one than ours was, since the
operators of before still lead by that.
*/ -}}
{{- define "cutover.checkLease" -}}
{{- $lease := include "cutover.leaseOf" .Values.extraArgs -}}
{{- range (lookup "apps/v1" "Deployment" .Release.Namespace "").items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- if and (eq (get $labels "app.kubernetes.io/name") "cutover") (eq (get $labels "app.kubernetes.io/component") "operator") -}}
{{- $release := get $labels "app.kubernetes.io/instance" -}}
{{- $theirs := include "cutover.leaseOf" ((first .spec.template.spec.containers).args | default list) -}}
{{- if and (ne $release $.Release.Name) (eq $theirs $lease) -}}
{{- fail (printf "release %s is in namespace %s already, and its operators hold the Lease %s, so that those of this release would stand by for ever: one operator works in a cluster; upgrade that release, or uninstall it first" $release $.Release.Namespace $lease) -}}
{{- end -}}
{{- if and (eq $release $.Release.Name) (ne $theirs $lease) (ne (int .spec.replicas) 0) -}}
{{- fail (printf "the operators of this release elect their leader by the Lease %s, and by %s another one would lead beside it: scale Deployment %s to 0 first, while no migration runs" $theirs $lease .metadata.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
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

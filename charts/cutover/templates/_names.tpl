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

{{- define "cutover.selfTestLabels" -}}
app.kubernetes.io/name: cutover-self-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

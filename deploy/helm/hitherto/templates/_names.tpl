{{- /* Names, labels and addresses that several objects share. */ -}}

{{- define "hitherto.name" -}}
{{- if contains "hitherto" .Release.Name }}{{ .Release.Name }}{{ else }}
{{- printf "%s-hitherto" .Release.Name }}{{ end }}
{{- end }}

{{- define "hitherto.selector" -}}
app.kubernetes.io/name: hitherto
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hitherto.labels" -}}
{{ include "hitherto.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "hitherto.image" -}}
{{- with .Values.image -}}
{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "hitherto.account" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "hitherto.name" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "hitherto.host" -}}
{{ include "hitherto.name" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "hitherto.url" -}}
{{ ternary "https" "http" .Values.tls.enabled }}://{{ include "hitherto.host" . }}:{{ .Values.service.port }}
{{- end }}

{{- define "hitherto.tlsSecret" -}}
{{ .Values.tls.secret | default (printf "%s-tls" (include "hitherto.name" .)) }}
{{- end }}

{{- define "hitherto.tokensSecret" -}}
{{- if .Values.tokens.secret }}{{ .Values.tokens.secret }}
{{- else if .Values.tokens.external }}{{ include "hitherto.name" . }}-tokens{{ end }}
{{- end }}

{{- define "hitherto.definitionsMap" -}}
{{ .Values.definitions.configMap | default (printf "%s-definitions" (include "hitherto.name" .)) }}
{{- end }}

{{- /* Where the server says that it takes requests: 200 from the moment that its store is
open and its catalog loaded until it is told to stop. It asks nothing of disk or views, so
that it also says whether the process is alive. */ -}}
{{- define "hitherto.readyPath" }}/healthz{{ end }}
{{- define "hitherto.alivePath" }}/healthz{{ end }}

{{- /* A probe of a path. Kubelets show no certificate and trust any. */ -}}
{{- define "hitherto.probe" -}}
httpGet:
  path: {{ .path }}
  port: features
  scheme: {{ ternary "HTTPS" "HTTP" .root.Values.tls.enabled }}
{{- end }}

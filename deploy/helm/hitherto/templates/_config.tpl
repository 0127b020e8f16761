{{- /* hitherto.yaml: what values.config says, and what follows from the other values. */ -}}

{{- define "hitherto.mebibytes" -}}
{{- if hasSuffix "Gi" . }}{{ mul 1024 (trimSuffix "Gi" . | int64) }}
{{- else }}{{ trimSuffix "Mi" . | int64 }}{{ end }}
{{- end }}

{{- define "hitherto.config" -}}
{{- $limit := include "hitherto.mebibytes" .Values.resources.limits.memory | int64 }}
{{- if lt $limit 1024 }}
{{- fail (printf "resources.limits.memory is %s; a server needs at least 1Gi, of which a quarter each is for builds, rows and requests" .Values.resources.limits.memory) }}
{{- end }}
{{- $quarter := printf "%dMiB" (div $limit 4) }}
{{- $server := dict
  "listen" "0.0.0.0:7411"
  "requestMemory" $quarter
  "drainSeconds" (.Values.drainSeconds | int) }}
{{- if .Values.tls.enabled }}
{{- $server = merge $server (dict "tlsCert" "/tls/tls.crt" "tlsKey" "/tls/tls.key") }}
{{- end }}
{{- if .Values.clientCa.secret }}
{{- $server = merge $server (dict "clientCa" "/client-ca/ca.crt") }}
{{- end }}
{{- if include "hitherto.tokensSecret" . }}
{{- $server = merge $server (dict "tokenFile" "/tokens/tokens") }}
{{- end }}
{{- if not (or (include "hitherto.tokensSecret" .) .Values.clientCa.secret) }}
{{- /* Nobody is asked who they are: the network policy says who comes. */}}
{{- $server = merge $server (dict "allowAnonymous" true) }}
{{- end }}
{{- if .Values.backup.schedule }}
{{- $server = merge $server (dict "backups" "/backups/taken") }}
{{- end }}
{{- $chosen := .Values.config }}
{{- $server = merge (deepCopy ($chosen.server | default dict)) $server }}
{{- $sized := dict "memory" $quarter "cache" $quarter }}
{{- $all := merge (omit (deepCopy $chosen) "server") $sized }}
{{- $_ := set $all "store" "/var/lib/hitherto/store" }}
{{- $_ := set $all "server" $server }}
{{- range $key, $value := $all.server }}
{{- if kindIs "float64" $value }}{{ $_ := set $all.server $key (int64 $value) }}{{ end }}
{{- end }}
{{- if kindIs "float64" $all.threads }}{{ $_ := set $all "threads" (int64 $all.threads) }}{{ end }}
{{- toYaml $all }}
{{- end }}

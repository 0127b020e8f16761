{{- /* Volumes of the pods that hold a store. Secrets are mounted as folders: with subPath a
renewed one would not arrive, and the server looks at its files every two seconds. */ -}}

{{- define "hitherto.repositoryMounts" -}}
- { name: repository, mountPath: /etc/hitherto, readOnly: true }
- { name: store, mountPath: /var/lib/hitherto }
- { name: scratch, mountPath: /tmp }
{{- include "hitherto.sourcesMount" . }}
{{- end }}

{{- define "hitherto.serverMounts" -}}
{{- if .Values.tls.enabled }}
- { name: tls, mountPath: /tls, readOnly: true }
{{- end }}
{{- if .Values.clientCa.secret }}
- { name: client-ca, mountPath: /client-ca, readOnly: true }
{{- end }}
{{- if include "hitherto.tokensSecret" . }}
- { name: tokens, mountPath: /tokens, readOnly: true }
{{- end }}
{{- if .Values.backup.schedule }}
- { name: backups, mountPath: /backups }
{{- end }}
{{- end }}

{{- define "hitherto.serverVolumes" -}}
{{- if .Values.tls.enabled }}
- name: tls
  secret: { secretName: {{ include "hitherto.tlsSecret" . }}, defaultMode: 0440 }
{{- end }}
{{- with .Values.clientCa.secret }}
- name: client-ca
  secret: { secretName: {{ . }}, defaultMode: 0440, items: [{ key: ca.crt, path: ca.crt }] }
{{- end }}
{{- with include "hitherto.tokensSecret" . }}
- name: tokens
  secret: { secretName: {{ . }}, defaultMode: 0440, items: [{ key: tokens, path: tokens }] }
{{- end }}
{{- if .Values.backup.schedule }}
- name: backups
  persistentVolumeClaim: { claimName: {{ include "hitherto.name" . }}-backups }
{{- end }}
{{- end }}

{{- define "hitherto.claim" -}}
accessModes: [ReadWriteOnce]
{{- with .className }}
storageClassName: {{ . }}
{{- end }}
resources: { requests: { storage: {{ .size }} } }
{{- end }}

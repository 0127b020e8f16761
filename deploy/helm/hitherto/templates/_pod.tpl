{{- /* What every pod of the chart that runs Hitherto has in common. */ -}}

{{- define "hitherto.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "hitherto.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "hitherto.container" -}}
image: {{ include "hitherto.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "hitherto.containerSecurity" . | nindent 2 }}
{{- end }}

{{- define "hitherto.placement" -}}
serviceAccountName: {{ include "hitherto.account" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- /* What reads a repository: its folder, its sources and the credentials for them. */ -}}
{{- define "hitherto.repositoryEnv" -}}
env:
  - { name: HITHERTO_REPO, value: /etc/hitherto }
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.envFrom }}
envFrom: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "hitherto.sourcesMount" -}}
{{- if .Values.sources.claim }}
- { name: sources, mountPath: {{ .Values.sources.path }}, readOnly: true }
{{- end }}
{{- end }}

{{- define "hitherto.sourcesVolume" -}}
{{- if .Values.sources.claim }}
- name: sources
  persistentVolumeClaim: { claimName: {{ .Values.sources.claim }}, readOnly: true }
{{- end }}
{{- end }}

{{- define "hitherto.scratchVolume" -}}
- name: scratch
  emptyDir: { sizeLimit: {{ .Values.scratch.size }} }
{{- end }}

{{- /* What a job of the chart shows the server that it calls. */ -}}
{{- define "hitherto.callerEnv" -}}
{{- with (include "hitherto.tokensSecret" .) }}
- name: HITHERTO_TOKEN
  valueFrom: { secretKeyRef: { name: {{ . }}, key: token } }
{{- end }}
{{- if .Values.tls.enabled }}
- { name: HITHERTO_CA, value: /tls/ca.crt }
{{- end }}
{{- if .Values.clientCa.secret }}
- { name: HITHERTO_CERT, value: /client/tls.crt }
- { name: HITHERTO_KEY, value: /client/tls.key }
{{- end }}
{{- end }}

{{- define "hitherto.callerMounts" -}}
{{- if .Values.tls.enabled }}
- { name: ca, mountPath: /tls, readOnly: true }
{{- end }}
{{- if .Values.clientCa.secret }}
- { name: client, mountPath: /client, readOnly: true }
{{- end }}
{{- end }}

{{- define "hitherto.callerVolumes" -}}
{{- if .Values.tls.enabled }}
- name: ca
  secret:
    secretName: {{ include "hitherto.tlsSecret" . }}
    defaultMode: 0440
    items: [{ key: ca.crt, path: ca.crt }]
{{- end }}
{{- if .Values.clientCa.secret }}
- name: client
  secret: { secretName: {{ .Values.clientCa.jobsSecret }}, defaultMode: 0440 }
{{- end }}
{{- end }}

{{- /* A pod that asks the server one thing. `args` of hitherto, and the `root`. */ -}}
{{- define "hitherto.caller" -}}
{{- $root := .root -}}
restartPolicy: Never
{{ include "hitherto.placement" $root }}
securityContext:
  {{- include "hitherto.podSecurity" $root | nindent 2 }}
containers:
  - name: hitherto
    {{- include "hitherto.container" $root | nindent 4 }}
    args: {{ toJson .args }}
    env:
      - name: POD_NAME
        valueFrom: { fieldRef: { fieldPath: metadata.name } }
      {{- include "hitherto.callerEnv" $root | nindent 6 }}
    resources:
      requests: { cpu: 50m, memory: 64Mi }
      limits: { memory: 256Mi }
    volumeMounts:
      - { name: scratch, mountPath: /tmp }
      {{- include "hitherto.callerMounts" $root | nindent 6 }}
volumes:
  - name: scratch
    emptyDir: { sizeLimit: 64Mi }
  {{- include "hitherto.callerVolumes" $root | nindent 2 }}
{{- end }}

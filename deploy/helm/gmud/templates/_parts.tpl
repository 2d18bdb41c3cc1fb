{{- define "gmud.name" -}}
{{- if contains .Chart.Name .Release.Name -}}{{ .Release.Name }}{{- else -}}{{ .Release.Name }}-{{ .Chart.Name }}{{- end -}}
{{- end -}}

{{- define "gmud.labels" -}}
app.kubernetes.io/name: gmud
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* Takes the root and the name of the part. */}}
{{- define "gmud.selector" -}}
app.kubernetes.io/name: gmud
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "gmud.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "gmud.witness" -}}
{{ .Values.witness.existingClaim | default (printf "%s-witness" (include "gmud.name" .)) }}
{{- end -}}

{{/* What every pod is: nobody, with nothing to write but what is mounted. */}}
{{- define "gmud.pod" -}}
automountServiceAccountToken: false
serviceAccountName: {{ include "gmud.name" . }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{/* The container but its command, probes and size; takes the root, the entry with the database and whether it seals. */}}
{{- define "gmud.container" -}}
image: {{ include "gmud.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities: { drop: [ALL] }
envFrom:
  - configMapRef: { name: {{ include "gmud.name" .root }} }
env:
  - { name: GMUD_SECRET_KEY_FILE, value: /run/secrets/gmud/secret_key }
  - { name: DATABASE_URL_FILE, value: /run/secrets/gmud/{{ .database }} }
  - { name: REDIS_URL_FILE, value: /run/secrets/gmud/redis_url }
  - { name: GMUD_SMTP_URL_FILE, value: /run/secrets/gmud/smtp_url }
  - { name: GMUD_OIDC_CLIENT_SECRET_FILE, value: /run/secrets/gmud/oidc_client_secret }
volumeMounts:
  - { name: secret, mountPath: /run/secrets/gmud, readOnly: true }
  - { name: keys, mountPath: /var/lib/gmud/keys, readOnly: true }
  - { name: data, mountPath: /var/lib/gmud/data }
  - { name: tmp, mountPath: /tmp }
  {{- if not .once }}
  - { name: witness, mountPath: /var/lib/gmud/witness{{ if not .seals }}, readOnly: true{{ end }} }
  {{- end }}
{{- end -}}

{{/* Takes the root, the entry with the database, and whether it runs once. Of the databases only that entry is mounted. */}}
{{- define "gmud.volumes" -}}
- name: secret
  secret:
    secretName: {{ .root.Values.secret }}
    defaultMode: 0440
    items:
      - { key: secret_key, path: secret_key }
      - { key: {{ .database }}, path: {{ .database }} }
      - { key: redis_url, path: redis_url }
      - { key: smtp_url, path: smtp_url }
      - { key: oidc_client_secret, path: oidc_client_secret }
- name: keys
  secret: { secretName: {{ .root.Values.keysSecret }}, defaultMode: 0440 }
- name: data
  emptyDir: { medium: Memory, sizeLimit: 16Mi }
- name: tmp
  emptyDir: { medium: Memory, sizeLimit: 64Mi }
{{- if not .once }}
- name: witness
  persistentVolumeClaim: { claimName: {{ include "gmud.witness" .root }} }
{{- end }}
{{- end -}}

{{/*
What an agent's chart includes, each with the chart as its context:

  initContainers: {{- include "fairlead.container" .Subcharts.fairlead | nindent 8 }}
  env:            {{- include "fairlead.environment" .Subcharts.fairlead | nindent 12 }}
  volumes:        {{- include "fairlead.volumes" .Subcharts.fairlead | nindent 8 }}
  terminationGracePeriodSeconds: {{ include "fairlead.podGraceSeconds" .Subcharts.fairlead }}
  labels:         {{- include "fairlead.labels" .Subcharts.fairlead | nindent 8 }}

With a claim the pod's securityContext needs fsGroup: 7400.
*/}}

{{- define "fairlead.image" -}}
{{- $image := .Values.sidecar.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "fairlead.labels" -}}
fairlead/sidecar: "true"
{{- end -}}

{{- define "fairlead.podGraceSeconds" -}}
{{ add 30 (int .Values.sidecar.graceSeconds) 10 }}
{{- end -}}

{{- define "fairlead.hasSecrets" -}}
{{- if or .Values.sidecar.secret .Values.sidecar.agentToken.secret }}true{{ end -}}
{{- end -}}

{{- define "fairlead.probe" -}}
{{- if eq .probes "http" -}}
httpGet:
  path: /{{ .path }}
  port: fairlead-health
timeoutSeconds: 2
{{- else -}}
exec:
  command: ["fairlead", "health"{{ if eq .path "healthz" }}, "--live"{{ end }}]
timeoutSeconds: 10
{{- end -}}
{{- end -}}

{{- define "fairlead.restricted" -}}
runAsNonRoot: true
runAsUser: 7400
runAsGroup: 7400
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities:
  drop: ["ALL"]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "fairlead.container" -}}
{{- $sidecar := .Values.sidecar -}}
- name: fairlead
  image: {{ include "fairlead.image" . }}
  imagePullPolicy: {{ $sidecar.image.pullPolicy }}
  restartPolicy: Always
  args: ["serve", "--config", "/etc/fairlead/fairlead.yaml", "--grace", "{{ $sidecar.graceSeconds }}s"]
  env:
    - name: FAIRLEAD_DATA
      value: /var/lib/fairlead/data
    {{- if eq $sidecar.probes "exec" }}
    - name: FAIRLEAD_HEALTH_LISTEN
      value: 127.0.0.1:7402
    {{- end }}
  {{- if eq $sidecar.probes "http" }}
  ports:
    - name: fairlead-health
      containerPort: 7402
      protocol: TCP
  {{- end }}
  startupProbe:
    {{- include "fairlead.probe" (dict "probes" $sidecar.probes "path" "readyz") | nindent 4 }}
    periodSeconds: 1
    failureThreshold: 600
  readinessProbe:
    {{- include "fairlead.probe" (dict "probes" $sidecar.probes "path" "readyz") | nindent 4 }}
    periodSeconds: 5
    failureThreshold: 2
  livenessProbe:
    {{- include "fairlead.probe" (dict "probes" $sidecar.probes "path" "healthz") | nindent 4 }}
    periodSeconds: 10
    failureThreshold: 3
  lifecycle:
    preStop:
      sleep:
        seconds: 5
  resources:
    requests:
      cpu: {{ $sidecar.resources.cpuRequest | quote }}
      memory: {{ $sidecar.resources.memoryRequest | quote }}
      {{- if not (or $sidecar.data.claim $sidecar.data.volume) }}
      ephemeral-storage: 256Mi
      {{- end }}
    limits:
      memory: {{ $sidecar.resources.memoryLimit | quote }}
  securityContext:
    {{- include "fairlead.restricted" . | nindent 4 }}
  volumeMounts:
    - name: fairlead-config
      mountPath: /etc/fairlead
      readOnly: true
    - name: {{ $sidecar.data.volume | default "fairlead-data" | quote }}
      mountPath: /var/lib/fairlead
    {{- if include "fairlead.hasSecrets" . }}
    - name: fairlead-secrets
      mountPath: /var/run/secrets/fairlead
      readOnly: true
    {{- end }}
{{- end -}}

{{- define "fairlead.volumes" -}}
{{- $sidecar := .Values.sidecar -}}
- name: fairlead-config
  configMap:
    name: {{ $sidecar.config | quote }}
{{- if $sidecar.data.claim }}
- name: fairlead-data
  persistentVolumeClaim:
    claimName: {{ $sidecar.data.claim | quote }}
{{- else if not $sidecar.data.volume }}
- name: fairlead-data
  emptyDir:
    sizeLimit: {{ $sidecar.data.size | quote }}
{{- end }}
{{- if include "fairlead.hasSecrets" . }}
- name: fairlead-secrets
  projected:
    defaultMode: 0444
    sources:
      {{- with $sidecar.secret }}
      - secret:
          name: {{ . | quote }}
      {{- end }}
      {{- with $sidecar.agentToken }}
      {{- if .secret }}
      - secret:
          name: {{ .secret | quote }}
          items:
            - key: {{ .key | quote }}
              path: agent-token
      {{- end }}
      {{- end }}
{{- end }}
{{- end -}}

{{- define "fairlead.environment" -}}
- name: FAIRLEAD_ENDPOINT
  value: 127.0.0.1:7400
- name: OPENAI_BASE_URL
  value: http://127.0.0.1:7400/v1
- name: ANTHROPIC_BASE_URL
  value: http://127.0.0.1:7400
{{- with .Values.sidecar.agentToken }}
{{- if .secret }}
{{- $token := . }}
{{- range list "FAIRLEAD_TOKEN" "OPENAI_API_KEY" "ANTHROPIC_API_KEY" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ $token.secret | quote }}
      key: {{ $token.key | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

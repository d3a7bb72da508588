{{/* The sidecar of `values.sidecar` as flags of `fairlead webhook`; what is at its default is left out. */}}
{{- define "fairlead.webhookFlags" -}}
{{- $sidecar := .Values.sidecar -}}
- --image
- {{ include "fairlead.image" . }}
{{- $flags := list
  (list "pull-policy" $sidecar.image.pullPolicy "IfNotPresent")
  (list "config" $sidecar.config "fairlead-config")
  (list "secret" $sidecar.secret "fairlead-secrets")
  (list "data-claim" $sidecar.data.claim "")
  (list "data-volume" $sidecar.data.volume "")
  (list "data-size" $sidecar.data.size "2Gi")
  (list "probes" $sidecar.probes "http")
  (list "grace" (printf "%ds" (int $sidecar.graceSeconds)) "30s")
  (list "cpu-request" $sidecar.resources.cpuRequest "100m")
  (list "memory-request" $sidecar.resources.memoryRequest "192Mi")
  (list "memory-limit" $sidecar.resources.memoryLimit "384Mi")
-}}
{{- range $flags }}
{{- if ne (index . 1) (index . 2) }}
- --{{ index . 0 }}
- {{ index . 1 | quote }}
{{- end }}
{{- end }}
{{- with $sidecar.agentToken }}
{{- if .secret }}
- --agent-token
- {{ printf "%s/%s" .secret .key | quote }}
{{- end }}
{{- end }}
{{- end -}}

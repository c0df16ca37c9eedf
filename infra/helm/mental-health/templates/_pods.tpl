{{- /* Settings common to all pods. Call with (list $ "rag-api" user-id part's values). */ -}}
{{- define "mh.pod" -}}
{{- $root := index . 0 -}}
{{- $values := index . 3 -}}
serviceAccountName: {{ include "mh.name" (list $root "services") }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{ include "mh.podSecurity" (index . 2) }}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "mh.selector" (list $root (index $ 1)) | nindent 8 }}
  {{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "mh.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ . }}
  runAsGroup: {{ . }}
  fsGroup: {{ . }}
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "mh.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- /* The only writable folder; Python's byte code takes up to 36 MB of it. */ -}}
{{- define "mh.tmp" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ . }}
{{- end -}}

{{- /* Metadata of a pod template; the checksum causes a rollout when the configuration changes. */ -}}
{{- define "mh.podMetadata" -}}
{{- $root := index . 0 -}}
labels:
  {{- include "mh.labels" (list $root (index . 1)) | nindent 2 }}
annotations:
  checksum/config: {{ index . 2 | sha256sum }}
  {{- with (index . 3).podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "mh.deploymentMetadata" -}}
metadata:
  name: {{ include "mh.name" . }}
  labels:
    {{- include "mh.labels" . | nindent 4 }}
{{- end -}}

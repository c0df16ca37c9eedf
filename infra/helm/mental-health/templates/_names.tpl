{{- /* Name of one part of the release. Call with (list $ "conversations-api"). */ -}}
{{- define "mh.name" -}}
{{- printf "%s-%s" ((index . 0).Release.Name | trunc 40 | trimSuffix "-") (index . 1) -}}
{{- end -}}

{{- define "mh.selector" -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end -}}

{{- define "mh.labels" -}}
{{ include "mh.selector" . }}
app.kubernetes.io/part-of: mental-health
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end -}}

{{- define "mh.image" -}}
{{- $root := index . 0 -}}
{{- printf "%s/%s:%s" $root.Values.image.registry (index . 1) ($root.Values.image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}

{{- /* Base URL of conversations-api inside the cluster. */ -}}
{{- define "mh.conversationsUrl" -}}
http://{{ include "mh.name" (list . "conversations-api") }}:8000
{{- end -}}

{{- /* The non-secret variables of one part, as a YAML map. Call with (list $ "rag-api"). */ -}}
{{- define "mh.config" -}}
{{- $values := (index . 0).Values -}}
{{- $url := dict "CONVERSATIONS_URL" (include "mh.conversationsUrl" (index . 0)) -}}
{{- $uri := required "Set index.config.MILVUS_URI to the URL of Milvus, such as http://milvus:19530." $values.index.config.MILVUS_URI -}}
{{- $database := required "Set conversationsApi.config.DATABASE_URL to mysql+aiomysql://HOST:3306/DATABASE." $values.conversationsApi.config.DATABASE_URL -}}
{{- /* Services refuse to start with an empty secret. Beat is exempt: it gets only the Redis secret. */ -}}
{{- $production := dict "ENVIRONMENT" "production" -}}
{{- /* Pods listen on all addresses, where the services do not start without access control. */ -}}
{{- $access := dict "AUTH_MODE" "required" -}}
{{- $answers := ternary (dict) (dict "ANSWERS_MODE" "quotes") (not (empty $values.secrets.openai.existingSecret)) -}}
{{- $model := ternary (dict "EMBEDDING_PROVIDER" "local" "EMBEDDING_MODEL" "all-mpnet-base-v2") (dict) $values.index.qualityModel -}}
{{- $own := dict
  "conversations-api" (list $values.conversationsApi.config $access $production)
  "rag-api" (list $model $values.ragApi.config $values.index.config $url $answers $access $production)
  "indexer-worker" (list $model $values.indexerWorker.config $values.index.config $url $production)
  "indexer-beat" (list $model $values.indexerWorker.config $values.index.config $url)
-}}
{{- $merged := dict -}}
{{- range (append (index $own (index . 1)) $values.config) -}}
{{- $merged = merge $merged . -}}
{{- end -}}
{{- toYaml $merged -}}
{{- end -}}

{{- /* Variables from Secrets. Call with (list $ "database" "redis"). */ -}}
{{- define "mh.secretEnv" -}}
{{- $root := index . 0 -}}
{{- range $name := rest . }}
{{- $secret := index $root.Values.secrets $name }}
{{- $missing := printf "Set secrets.%s.existingSecret to the Secret that contains %s; the chart does not create it." $name (keys $secret.variables | sortAlpha | join " and ") }}
{{- if or $secret.existingSecret (not (has $name (list "openai" "searchCache" "firstAdministrator" "oidc"))) }}
{{- range $variable, $key := $secret.variables }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef:
      name: {{ required $missing $secret.existingSecret }}
      key: {{ $key }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Deployment of an API. Call with (list $ "rag-api" part's-values (list "milvus" "openai")). */ -}}
{{- define "mh.api" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $values := index . 2 -}}
apiVersion: apps/v1
kind: Deployment
{{ include "mh.deploymentMetadata" (list $root $name) }}
spec:
  {{- if not $values.autoscaling.enabled }}
  replicas: {{ $values.replicas }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "mh.selector" (list $root $name) | nindent 6 }}
  strategy:
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  template:
    metadata:
      {{- include "mh.podMetadata" (list $root $name (include "mh.config" (list $root $name)) $values) | nindent 6 }}
    spec:
      {{- include "mh.pod" (list $root $name 10001 $values) | nindent 6 }}
      # The preStop sleep, then 25 s for running requests, then time to exit.
      terminationGracePeriodSeconds: 45
      containers:
        - name: {{ $name }}
          image: {{ include "mh.image" (list $root ($values.image | default $name)) }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          envFrom:
            - configMapRef:
                name: {{ include "mh.name" (list $root $name) }}
          env:
            {{- include "mh.secretEnv" (concat (list $root) (index . 3)) | nindent 12 }}
          ports:
            - name: http
              containerPort: 8000
          startupProbe:
            httpGet: {path: /livez, port: http}
            periodSeconds: 2
            timeoutSeconds: 4
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /livez, port: http}
            periodSeconds: 10
            timeoutSeconds: 4
            failureThreshold: 3
          readinessProbe:
            httpGet: {path: /readyz, port: http}
            periodSeconds: 5
            # Each dependency has 3 s to respond.
            timeoutSeconds: 5
            failureThreshold: 2
          lifecycle:
            preStop:
              # Requests arrive until the gateway has resolved the name again.
              sleep: {seconds: 10}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          {{- include "mh.containerSecurity" . | nindent 10 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
      volumes:
        {{- include "mh.tmp" "128Mi" | nindent 8 }}
{{- end -}}

{{- /* Services of an API: a cluster IP for clients, and a headless one with all pods' addresses for the gateway. */ -}}
{{- define "mh.apiServices" -}}
{{- range $suffix := list "" "-pods" }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "mh.name" $ }}{{ $suffix }}
  labels:
    {{- include "mh.labels" $ | nindent 4 }}
    {{- if $suffix }}
    mental-health/scrape: "true"
    {{- end }}
spec:
  {{- if $suffix }}
  clusterIP: None
  {{- end }}
  selector:
    {{- include "mh.selector" $ | nindent 4 }}
  ports:
    - name: http
      port: 8000
      targetPort: http
{{- end }}
{{- end -}}

{{- define "verdictstream.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "verdictstream.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "verdictstream.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "verdictstream.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "verdictstream.selector" -}}
app.kubernetes.io/name: {{ include "verdictstream.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "verdictstream.labels" -}}
{{ include "verdictstream.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "verdictstream.workerSelector" -}}
{{ include "verdictstream.selector" . }}
app.kubernetes.io/component: worker
{{- end -}}

{{- define "verdictstream.consoleSelector" -}}
{{ include "verdictstream.selector" . }}
app.kubernetes.io/component: console
{{- end -}}

{{/* Arguments: image (repository, tag, digest), context. */}}
{{- define "verdictstream.imageOf" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .context.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "verdictstream.image" -}}
{{- include "verdictstream.imageOf" (dict "image" .Values.image "context" .) -}}
{{- end -}}

{{- define "verdictstream.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "verdictstream.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- define "verdictstream.saslSecret" -}}
{{ .Values.kafka.sasl.existingSecret | default (printf "%s-kafka-sasl" (include "verdictstream.fullname" .)) }}
{{- end -}}

{{- define "verdictstream.tlsSecret" -}}
{{- if .Values.kafka.tls.existingSecret -}}
{{ .Values.kafka.tls.existingSecret }}
{{- else if or .Values.kafka.tls.ca .Values.kafka.tls.certificate -}}
{{ include "verdictstream.fullname" . }}-kafka-tls
{{- end -}}
{{- end -}}

{{- define "verdictstream.redisSecret" -}}
{{ .Values.redis.existingSecret | default (printf "%s-redis" (include "verdictstream.fullname" .)) }}
{{- end -}}

{{- define "verdictstream.usesSasl" -}}
{{- if hasPrefix "SASL" .Values.kafka.securityProtocol }}true{{ end -}}
{{- end -}}

{{- define "verdictstream.usesTls" -}}
{{- if hasSuffix "SSL" .Values.kafka.securityProtocol }}true{{ end -}}
{{- end -}}

{{- define "verdictstream.usesOauth" -}}
{{- if and (include "verdictstream.usesSasl" .) (eq .Values.kafka.sasl.mechanism "OAUTHBEARER") }}true{{ end -}}
{{- end -}}

{{- define "verdictstream.usesPassword" -}}
{{- if and (include "verdictstream.usesSasl" .) (ne .Values.kafka.sasl.mechanism "OAUTHBEARER") }}true{{ end -}}
{{- end -}}

{{/* The ConfigMap of further policies; empty where there are none. */}}
{{- define "verdictstream.policiesConfigMap" -}}
{{- if .Values.model.policies -}}
{{ include "verdictstream.fullname" . }}-policies
{{- else -}}
{{ .Values.model.policiesConfigMap }}
{{- end -}}
{{- end -}}

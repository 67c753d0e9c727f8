{{/* The worker's settings. Arguments: context, component. */}}
{{- define "verdictstream.env" -}}
{{- $ := .context -}}
{{- $kafka := $.Values.kafka -}}
- {name: MODERATION_KAFKA__BOOTSTRAP_SERVERS, value: {{ $kafka.bootstrapServers | quote }}}
- {name: MODERATION_KAFKA__INPUT_TOPIC, value: {{ $kafka.inputTopic | quote }}}
- {name: MODERATION_KAFKA__VERDICT_TOPIC, value: {{ $kafka.verdictTopic | quote }}}
- {name: MODERATION_KAFKA__DEAD_LETTER_TOPIC, value: {{ $kafka.deadLetterTopic | quote }}}
- {name: MODERATION_KAFKA__GROUP_ID, value: {{ $kafka.groupId | quote }}}
- {name: MODERATION_KAFKA__DELIVERY, value: {{ $kafka.delivery | quote }}}
- {name: MODERATION_KAFKA__GROUP_PROTOCOL, value: {{ $kafka.groupProtocol | quote }}}
{{- with $kafka.groupRemoteAssignor }}
- {name: MODERATION_KAFKA__GROUP_REMOTE_ASSIGNOR, value: {{ . | quote }}}
{{- end }}
{{- if $kafka.clientRackFrom }}
- name: MODERATION_KAFKA__CLIENT_RACK
  valueFrom: {fieldRef: {fieldPath: {{ $kafka.clientRackFrom | quote }}}}
{{- else if $kafka.clientRack }}
- {name: MODERATION_KAFKA__CLIENT_RACK, value: {{ $kafka.clientRack | quote }}}
{{- end }}
- {name: MODERATION_KAFKA__SECURITY_PROTOCOL, value: {{ $kafka.securityProtocol | quote }}}
{{- if include "verdictstream.usesSasl" $ }}
- {name: MODERATION_KAFKA__SASL_MECHANISM, value: {{ $kafka.sasl.mechanism | quote }}}
{{- end }}
{{- if include "verdictstream.usesPassword" $ }}
{{- range $key, $name := dict "username" "SASL_USERNAME" "password" "SASL_PASSWORD" }}
- name: MODERATION_KAFKA__{{ $name }}
  valueFrom: {secretKeyRef: {name: {{ include "verdictstream.saslSecret" $ }}, key: {{ $key }}}}
{{- end }}
{{- end }}
{{- if and (include "verdictstream.usesTls" $) (include "verdictstream.tlsSecret" $) }}
- {name: MODERATION_KAFKA__SSL_CA_LOCATION, value: /etc/verdictstream/kafka-tls/ca.crt}
{{- if $kafka.tls.clientCertificate }}
- {name: MODERATION_KAFKA__SSL_CERTIFICATE_LOCATION, value: /etc/verdictstream/kafka-tls/tls.crt}
- {name: MODERATION_KAFKA__SSL_KEY_LOCATION, value: /etc/verdictstream/kafka-tls/tls.key}
{{- end }}
{{- end }}
{{- if and (eq .component "worker") (eq $.Values.workload.kind "StatefulSet") }}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- {name: MODERATION_KAFKA__GROUP_INSTANCE_ID, value: $(POD_NAME)}
- {name: MODERATION_KAFKA__TRANSACTIONAL_ID, value: {{ $kafka.groupId }}.$(POD_NAME)}
{{- if eq $kafka.groupProtocol "classic" }}
- {name: MODERATION_KAFKA__SESSION_TIMEOUT_S, value: {{ $.Values.workload.staticMembership.sessionTimeoutSeconds | quote }}}
{{- end }}
{{- end }}
{{- if $.Values.redis.enabled }}
- name: MODERATION_REDIS__URL
  valueFrom: {secretKeyRef: {name: {{ include "verdictstream.redisSecret" $ }}, key: url}}
{{- end }}
{{- if ne $.Values.model.bundle.source "builtin" }}
- {name: MODERATION_MODEL__PATH, value: {{ printf "/bundle/%s" $.Values.model.bundle.subPath | trimSuffix "/" | quote }}}
{{- end }}
{{- if $.Values.model.policy }}
- {name: MODERATION_MODEL__POLICY_PATH, value: /etc/verdictstream/policy/policy.toml}
{{- end }}
- {name: MODERATION_HTTP__HOST, value: 0.0.0.0}
- {name: MODERATION_HTTP__PORT, value: {{ ternary "8080" "0" (eq .component "worker") | quote }}}
- {name: MODERATION_SHUTDOWN_GRACE_S, value: {{ $.Values.shutdown.workerGraceSeconds | quote }}}
{{- range $name, $value := $.Values.settings }}
- {name: MODERATION_{{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- with $.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The worker's settings. Arguments: context, component. */}}
{{- define "verdictstream.env" -}}
{{- $ := .context -}}
{{- $kafka := $.Values.kafka -}}
- {name: MODERATION_KAFKA__BOOTSTRAP_SERVERS, value: {{ $kafka.bootstrapServers | quote }}}
- {name: MODERATION_KAFKA__INPUT_TOPIC, value: {{ $kafka.inputTopic | quote }}}
- {name: MODERATION_KAFKA__VERDICT_TOPIC, value: {{ $kafka.verdictTopic | quote }}}
- {name: MODERATION_KAFKA__DEAD_LETTER_TOPIC, value: {{ $kafka.deadLetterTopic | quote }}}
- {name: MODERATION_KAFKA__REPLAY_TOPIC, value: {{ $kafka.replayTopic | quote }}}
- {name: MODERATION_KAFKA__CHANGES_TOPIC, value: {{ $kafka.changesTopic | quote }}}
{{- with $kafka.policiesTopic }}
- {name: MODERATION_KAFKA__POLICIES_TOPIC, value: {{ . | quote }}}
{{- end }}
{{- with $kafka.stateTopic }}
- {name: MODERATION_KAFKA__STATE_TOPIC, value: {{ . | quote }}}
{{- end }}
{{- with $kafka.overridesTopic }}
- {name: MODERATION_KAFKA__OVERRIDES_TOPIC, value: {{ . | quote }}}
{{- end }}
{{- with $kafka.reviewsTopic }}
- {name: MODERATION_KAFKA__REVIEWS_TOPIC, value: {{ . | quote }}}
{{- end }}
{{- with $kafka.decisionsTopic }}
- {name: MODERATION_KAFKA__DECISIONS_TOPIC, value: {{ . | quote }}}
{{- end }}
{{- with $kafka.feedbackTopic }}
- {name: MODERATION_KAFKA__FEEDBACK_TOPIC, value: {{ . | quote }}}
{{- end }}
{{- with $kafka.erasuresTopic }}
- {name: MODERATION_KAFKA__ERASURES_TOPIC, value: {{ . | quote }}}
{{- end }}
- {name: MODERATION_KAFKA__GROUP_ID, value: {{ $kafka.groupId | quote }}}
- {name: MODERATION_KAFKA__LOST_OFFSETS, value: {{ $kafka.lostOffsets | quote }}}
- {name: MODERATION_KAFKA__UNREACHABLE_EXIT_S, value: {{ $kafka.unreachableExitSeconds | quote }}}
{{- if ne $kafka.valueFormat "json" }}
- {name: MODERATION_KAFKA__VALUE_FORMAT, value: {{ $kafka.valueFormat | quote }}}
{{- end }}
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
- {name: MODERATION_KAFKA__COMPRESSION, value: {{ $kafka.compression | quote }}}
{{- with $kafka.forwardHeaders }}
- {name: MODERATION_KAFKA__FORWARD_HEADERS, value: {{ join "," . | quote }}}
{{- end }}
{{- with $kafka.cloudEventsSource }}
- {name: MODERATION_KAFKA__CLOUDEVENTS_SOURCE, value: {{ . | quote }}}
{{- end }}
{{- with $kafka.verdictSchemaGuid }}
- {name: MODERATION_KAFKA__VERDICT_SCHEMA_GUID, value: {{ . | quote }}}
{{- end }}
- {name: MODERATION_KAFKA__SECURITY_PROTOCOL, value: {{ $kafka.securityProtocol | quote }}}
{{- if include "verdictstream.usesSasl" $ }}
- {name: MODERATION_KAFKA__SASL_MECHANISM, value: {{ $kafka.sasl.mechanism | quote }}}
{{- end }}
{{- if include "verdictstream.usesPassword" $ }}
- name: MODERATION_KAFKA__SASL_USERNAME
  valueFrom: {secretKeyRef: {name: {{ include "verdictstream.saslSecret" $ }}, key: username}}
- {name: MODERATION_KAFKA__SASL_PASSWORD_FILE, value: /etc/verdictstream/kafka-sasl/password}
{{- end }}
{{- if include "verdictstream.usesOauth" $ }}
- {name: MODERATION_KAFKA__OAUTH_TOKEN_URL, value: {{ $kafka.oauth.tokenUrl | quote }}}
- name: MODERATION_KAFKA__OAUTH_CLIENT_ID
  valueFrom: {secretKeyRef: {name: {{ include "verdictstream.saslSecret" $ }}, key: client-id}}
- {name: MODERATION_KAFKA__OAUTH_CLIENT_SECRET_FILE, value: /etc/verdictstream/kafka-sasl/client-secret}
{{- with $kafka.oauth.scope }}
- {name: MODERATION_KAFKA__OAUTH_SCOPE, value: {{ . | quote }}}
{{- end }}
{{- if $kafka.oauth.caSecret }}
- {name: MODERATION_KAFKA__OAUTH_CA_LOCATION, value: /etc/verdictstream/oauth-tls/ca.crt}
{{- end }}
{{- end }}
{{- if and (include "verdictstream.usesTls" $) (include "verdictstream.tlsSecret" $) }}
- {name: MODERATION_KAFKA__SSL_CA_LOCATION, value: /etc/verdictstream/kafka-tls/ca.crt}
{{- if $kafka.tls.clientCertificate }}
- {name: MODERATION_KAFKA__SSL_CERTIFICATE_LOCATION, value: /etc/verdictstream/kafka-tls/tls.crt}
- {name: MODERATION_KAFKA__SSL_KEY_LOCATION, value: /etc/verdictstream/kafka-tls/tls.key}
{{- if $kafka.tls.encryptedKey }}
- {name: MODERATION_KAFKA__SSL_KEY_PASSWORD_FILE, value: /etc/verdictstream/kafka-tls/key-password}
{{- end }}
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
- {name: MODERATION_REDIS__URL_FILE, value: /etc/verdictstream/redis/url}
{{- if $.Values.redis.credentials }}
- name: MODERATION_REDIS__USERNAME
  valueFrom: {secretKeyRef: {name: {{ include "verdictstream.redisSecret" $ }}, key: username}}
- {name: MODERATION_REDIS__PASSWORD_FILE, value: /etc/verdictstream/redis/password}
{{- end }}
{{- if $.Values.redis.signingKey }}
- {name: MODERATION_REDIS__SIGNING_KEY_FILE, value: /etc/verdictstream/redis/signing-key}
{{- end }}
- {name: MODERATION_REDIS__KEY_PREFIX, value: {{ $.Values.redis.keyPrefix | quote }}}
- {name: MODERATION_REDIS__ON_REJECTED, value: {{ $.Values.redis.onRejected }}}
{{- if $.Values.redis.tlsSecret }}
- {name: MODERATION_REDIS__SSL_CA_LOCATION, value: /etc/verdictstream/redis-tls/ca.crt}
{{- if $.Values.redis.clientCertificate }}
- {name: MODERATION_REDIS__SSL_CERTIFICATE_LOCATION, value: /etc/verdictstream/redis-tls/tls.crt}
- {name: MODERATION_REDIS__SSL_KEY_LOCATION, value: /etc/verdictstream/redis-tls/tls.key}
{{- end }}
{{- end }}
{{- end }}
{{- if ne $.Values.model.bundle.source "builtin" }}
- {name: MODERATION_MODEL__PATH, value: {{ printf "/bundle/%s" $.Values.model.bundle.subPath | trimSuffix "/" | quote }}}
{{- end }}
{{- if $.Values.model.publicKey }}
- {name: MODERATION_MODEL__PUBLIC_KEY_FILE, value: /etc/verdictstream/bundle-key/public.pem}
{{- end }}
{{- if $.Values.model.policy }}
- {name: MODERATION_MODEL__POLICY_PATH, value: /etc/verdictstream/policy/policy.toml}
{{- end }}
{{- if include "verdictstream.policiesConfigMap" $ }}
- {name: MODERATION_MODEL__POLICIES_DIR, value: /etc/verdictstream/policies}
{{- end }}
{{- with $.Values.model.floor }}
- {name: MODERATION_MODEL__FLOOR, value: {{ join "," . | quote }}}
{{- end }}
{{- if $.Values.overrides.signingSecret }}
- {name: MODERATION_OVERRIDES__SIGNING_KEY_FILE, value: /etc/verdictstream/overrides/signing-key}
{{- end }}
{{- if $.Values.lists.file }}
- {name: MODERATION_LISTS__PATH, value: /etc/verdictstream/lists/lists.toml}
{{- with $.Values.lists.userField }}
- {name: MODERATION_LISTS__USER_FIELD, value: {{ . | quote }}}
- {name: MODERATION_LISTS__USER_FIELD_CHOSEN_BY, value: {{ $.Values.lists.userFieldChosenBy | quote }}}
{{- end }}
{{- end }}
{{- if $.Values.erasure.existingSecret }}
- {name: MODERATION_ERASURE__HASH_KEY_FILE, value: /etc/verdictstream/erasure/hash-key}
{{- end }}
- {name: MODERATION_MODEL__RELOAD_INTERVAL_S, value: {{ $.Values.model.reloadSeconds | quote }}}
- {name: MODERATION_MODEL__TIMEOUT_S, value: {{ $.Values.model.timeoutSeconds | quote }}}
{{- if and (eq .component "worker") (ne $.Values.shadow.bundle.source "none") }}
- {name: MODERATION_SHADOW__MODEL_PATH, value: {{ printf "/shadow/%s" $.Values.shadow.bundle.subPath | trimSuffix "/" | quote }}}
- {name: MODERATION_SHADOW__SAMPLE_RATIO, value: {{ $.Values.shadow.sampleRatio | quote }}}
- {name: MODERATION_KAFKA__SHADOW_TOPIC, value: {{ $.Values.shadow.topic | quote }}}
{{- end }}
- {name: MODERATION_HTTP__HOST, value: 0.0.0.0}
- {name: MODERATION_HTTP__PORT, value: {{ ternary "8080" "0" (eq .component "worker") | quote }}}
{{- if eq .component "worker" }}
# One scrape more before a fatal exit, so that its cause is seen. SIGTERM ends it at once: no part of the grace.
- {name: MODERATION_HTTP__EXIT_LINGER_S, value: {{ $.Values.serviceMonitor.intervalSeconds | quote }}}
{{- end }}
- {name: MODERATION_SHUTDOWN_GRACE_S, value: {{ $.Values.shutdown.workerGraceSeconds | quote }}}
{{- range $name, $value := $.Values.settings }}
- {name: MODERATION_{{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- with $.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

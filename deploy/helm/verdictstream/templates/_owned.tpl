{{/* Settings that the chart's own values set, by their names without MODERATION_ or CONSOLE_. Twice the same name in a
pod's environment means that the last one counts, in silence; so `settings` and `extraEnv` may hold none of these. */}}
{{- define "verdictstream.owned" -}}
ERASURE__HASH_KEY: erasure.existingSecret
HTTP__EXIT_LINGER_S: serviceMonitor.intervalSeconds
HTTP__HOST: "nothing: pods listen on all addresses"
HTTP__PORT: "nothing: probes and metrics need 8080"
KAFKA__BOOTSTRAP_SERVERS: kafka.bootstrapServers
KAFKA__CHANGES_TOPIC: kafka.changesTopic
KAFKA__CLIENT_RACK: kafka.clientRack or kafka.clientRackFrom
KAFKA__CLOUDEVENTS_SOURCE: kafka.cloudEventsSource
KAFKA__COMPRESSION: kafka.compression
KAFKA__DEAD_LETTER_TOPIC: kafka.deadLetterTopic
KAFKA__DECISIONS_TOPIC: kafka.decisionsTopic
KAFKA__DELIVERY: kafka.delivery
KAFKA__ERASURES_TOPIC: kafka.erasuresTopic
KAFKA__FEEDBACK_TOPIC: kafka.feedbackTopic
KAFKA__FORWARD_HEADERS: kafka.forwardHeaders
KAFKA__GROUP_ID: kafka.groupId
KAFKA__GROUP_INSTANCE_ID: workload.kind StatefulSet
KAFKA__GROUP_PROTOCOL: kafka.groupProtocol
KAFKA__GROUP_REMOTE_ASSIGNOR: kafka.groupRemoteAssignor
KAFKA__INPUT_TOPIC: kafka.inputTopic
KAFKA__LOST_OFFSETS: kafka.lostOffsets
KAFKA__OAUTH_CA_LOCATION: kafka.oauth.caSecret
KAFKA__OAUTH_CLIENT_ID: kafka.sasl
KAFKA__OAUTH_CLIENT_SECRET: kafka.sasl
KAFKA__OAUTH_SCOPE: kafka.oauth.scope
KAFKA__OAUTH_TOKEN_URL: kafka.oauth.tokenUrl
KAFKA__OVERRIDES_TOPIC: kafka.overridesTopic
KAFKA__POLICIES_TOPIC: kafka.policiesTopic
KAFKA__REPLAY_TOPIC: kafka.replayTopic
KAFKA__REVIEWS_TOPIC: kafka.reviewsTopic
KAFKA__SASL_MECHANISM: kafka.sasl.mechanism
KAFKA__SASL_PASSWORD: kafka.sasl
KAFKA__SASL_USERNAME: kafka.sasl
KAFKA__SECURITY_PROTOCOL: kafka.securityProtocol
KAFKA__SHADOW_TOPIC: shadow.topic
KAFKA__SSL_CA_LOCATION: kafka.tls
KAFKA__SSL_CERTIFICATE_LOCATION: kafka.tls.clientCertificate
KAFKA__SSL_KEY_LOCATION: kafka.tls.clientCertificate
KAFKA__SSL_KEY_PASSWORD: kafka.tls.encryptedKey
KAFKA__STATE_TOPIC: kafka.stateTopic
KAFKA__TRANSACTIONAL_ID: workload.kind StatefulSet
KAFKA__UNREACHABLE_EXIT_S: kafka.unreachableExitSeconds
KAFKA__VALUE_FORMAT: kafka.valueFormat
KAFKA__VERDICT_SCHEMA_GUID: kafka.verdictSchemaGuid
KAFKA__VERDICT_TOPIC: kafka.verdictTopic
LISTS__PATH: lists.file
LISTS__USER_FIELD: lists.userField
LISTS__USER_FIELD_CHOSEN_BY: lists.userFieldChosenBy
MODEL__FLOOR: model.floor
MODEL__PATH: model.bundle
MODEL__POLICIES_DIR: model.policies or model.policiesConfigMap
MODEL__POLICY_PATH: model.policy
MODEL__PUBLIC_KEY_FILE: model.publicKey
MODEL__RELOAD_INTERVAL_S: model.reloadSeconds
MODEL__TIMEOUT_S: model.timeoutSeconds
OVERRIDES__SIGNING_KEY: overrides.signingSecret
REDIS__KEY_PREFIX: redis.keyPrefix
REDIS__ON_REJECTED: redis.onRejected
REDIS__PASSWORD: redis.credentials
REDIS__SIGNING_KEY: redis.signingKey
REDIS__SSL_CA_LOCATION: redis.tlsSecret
REDIS__SSL_CERTIFICATE_LOCATION: redis.clientCertificate
REDIS__SSL_KEY_LOCATION: redis.clientCertificate
REDIS__URL: redis.url or redis.existingSecret
REDIS__USERNAME: redis.credentials
SHADOW__MODEL_PATH: shadow.bundle
SHADOW__SAMPLE_RATIO: shadow.sampleRatio
SHUTDOWN_GRACE_S: shutdown.workerGraceSeconds
{{- if and (eq .Values.workload.kind "StatefulSet") (eq .Values.kafka.groupProtocol "classic") }}
KAFKA__SESSION_TIMEOUT_S: workload.staticMembership.sessionTimeoutSeconds
{{- end }}
{{- end -}}

{{- define "verdictstream.ownedByConsole" -}}
API_ONLY: console.apiOnly
APPEALS__SIGNING_KEY: console.pipeline.webhooks.signingSecret
APPEALS__SIGNING_KEY_FILE: console.pipeline.webhooks.signingSecret
APPEALS__WEBHOOK_HOSTS: console.pipeline.webhooks.hosts
HTTP__ALLOWED_HOSTS: console.allowedHosts
HTTP__ALLOWED_ORIGINS: console.allowedOrigins
HTTP__HOST: "nothing: pods listen on all addresses"
HTTP__KEYS_FILE: console.keysSecret
HTTP__PORT: "nothing: Service and probes need 8088"
HTTP__PUBLIC_URL: console.publicUrl
HTTP__SESSION_SECRET_FILE: console.sessionSecret
HTTP__USERS_FILE: console.users
MODEL__PATH: model.bundle
MODEL__POLICY_PATH: model.policy
MODEL__POLICIES_PATH: model.policies or model.policiesConfigMap, with console.pipeline
MODEL__PUBLIC_KEY_FILE: model.publicKey
MODEL__TIMEOUT_S: model.timeoutSeconds
PAGES__BUNDLES: console.pages.bundles
PAGES__MAX_BUNDLES: console.pages.maxBundles
PIPELINE__IS_ON: console.pipeline.enabled
PROXY__ADDRESSES: console.proxy.addresses
PROXY__GROUPS_HEADER: console.proxy.groupsHeader
PROXY__LOGOUT_URL: console.proxy.logoutUrl
PROXY__ROLES: console.proxy.roles
PROXY__SECRET_FILE: console.proxy.enabled
PROXY__USER_HEADER: console.proxy.userHeader
STORE__URL: console.pipeline.database.existingSecret
STORE__URL_FILE: console.pipeline.database.existingSecret
{{- end -}}

{{/* Refuse what is set twice. */}}
{{- define "verdictstream.checkOwned" -}}
{{- $owned := include "verdictstream.owned" . | fromYaml -}}
{{- range $name, $_ := .Values.settings -}}
{{- with get $owned $name | default (get $owned (trimSuffix "_FILE" $name)) -}}
{{- fail (printf "settings.%s is set by the chart itself, and the last of two would count; expected the chart's own value: %s" $name .) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- $full := .name | upper | trimPrefix "MODERATION_" -}}
{{- $name := trimSuffix "_FILE" $full -}}
{{- if hasPrefix "MODERATION_" (upper .name) -}}
{{- with get $owned $full | default (get $owned $name) -}}
{{- fail (printf "extraEnv names MODERATION_%s, which the chart sets itself, and the last of two would count; expected the chart's own value: %s" $name .) -}}
{{- end -}}
{{- if or (hasKey $.Values.settings $name) (hasKey $.Values.settings $full) -}}
{{- fail (printf "MODERATION_%s is in settings and in extraEnv; expected one of them" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $owned = include "verdictstream.ownedByConsole" . | fromYaml -}}
{{- range $name, $_ := .Values.console.settings -}}
{{- with get $owned $name -}}
{{- fail (printf "console.settings.%s is set by the chart itself, and the last of two would count; expected the chart's own value: %s" $name .) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraVolumes -}}
{{- $name := .name -}}
{{- range include "verdictstream.ownVolumes" $ | fromYamlArray -}}
{{- if eq .name $name -}}
{{- fail (printf "extraVolumes names %s, a volume of the chart; expected another name" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

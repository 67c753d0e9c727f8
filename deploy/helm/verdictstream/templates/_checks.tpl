{{/* What values.schema.json cannot say: rules between values. Each says what was found, expected and what to do. */}}
{{- define "verdictstream.check" -}}
{{- $grace := .Values.shutdown.workerGraceSeconds -}}
{{- $granted := .Values.shutdown.terminationGracePeriodSeconds -}}
{{- if le (float64 $granted) (float64 $grace) -}}
{{- fail (printf "shutdown.terminationGracePeriodSeconds is %v, shutdown.workerGraceSeconds %v; expected more than the worker's own grace; raise the first" $granted $grace) -}}
{{- end -}}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas is %v, maxReplicas %v; expected at most as many; lower the first" .Values.autoscaling.minReplicas .Values.autoscaling.maxReplicas) -}}
{{- end -}}
{{- if and (include "verdictstream.usesSasl" .) (not .Values.kafka.sasl.mechanism) -}}
{{- fail (printf "kafka.securityProtocol is %s without kafka.sasl.mechanism; set it" .Values.kafka.securityProtocol) -}}
{{- end -}}
{{- if and (include "verdictstream.usesOauth" .) (not .Values.kafka.oauth.tokenUrl) -}}
{{- fail "kafka.sasl.mechanism is OAUTHBEARER without kafka.oauth.tokenUrl; set the issuer's token endpoint" -}}
{{- end -}}
{{- if and .Values.redis.credentials (not .Values.redis.existingSecret) -}}
{{- fail "redis.credentials is true without redis.existingSecret; name the Secret that holds username and password" -}}
{{- end -}}
{{- if and .Values.redis.signingKey (not .Values.redis.existingSecret) -}}
{{- fail "redis.signingKey is true without redis.existingSecret; name the Secret that holds signing-key" -}}
{{- end -}}
{{- if and .Values.redis.clientCertificate (not .Values.redis.tlsSecret) -}}
{{- fail "redis.clientCertificate is true without redis.tlsSecret; name the Secret that holds tls.crt and tls.key" -}}
{{- end -}}
{{- if and .Values.kafka.tls.encryptedKey (not .Values.kafka.tls.existingSecret) -}}
{{- fail "kafka.tls.encryptedKey is true without kafka.tls.existingSecret; name the Secret that holds key-password" -}}
{{- end -}}
{{- if and .Values.topics.create (ne .Values.kafka.securityProtocol "PLAINTEXT") (not .Values.topics.adminSecret) -}}
{{- fail "topics.create is true without topics.adminSecret on a secured cluster; name the Secret with client.properties" -}}
{{- end -}}
{{- if and (include "verdictstream.usesSasl" .) (not .Values.kafka.sasl.existingSecret) (not .Values.kafka.sasl.password) -}}
{{- fail (printf "kafka.securityProtocol is %s without credentials; set kafka.sasl.existingSecret, or username and password" .Values.kafka.securityProtocol) -}}
{{- end -}}
{{- if and .Values.kafka.groupRemoteAssignor (ne .Values.kafka.groupProtocol "consumer") -}}
{{- fail (printf "kafka.groupRemoteAssignor is %s with kafka.groupProtocol %s, which would not use it; set kafka.groupProtocol to consumer" .Values.kafka.groupRemoteAssignor .Values.kafka.groupProtocol) -}}
{{- end -}}
{{- if and .Values.kafka.clientRack .Values.kafka.clientRackFrom -}}
{{- fail "kafka.clientRack and kafka.clientRackFrom are both set; expected one of them" -}}
{{- end -}}
{{- if and .Values.kafka.tls.clientCertificate (not (include "verdictstream.tlsSecret" .)) -}}
{{- fail "kafka.tls.clientCertificate is true without a certificate; set kafka.tls.existingSecret, or certificate and key" -}}
{{- end -}}
{{- if and .Values.redis.enabled (not .Values.redis.existingSecret) (not .Values.redis.url) -}}
{{- fail "redis.enabled is true without an address; set redis.existingSecret or redis.url, or redis.enabled to false" -}}
{{- end -}}
{{- range $name := list "decisionsTopic" "erasuresTopic" -}}
{{- if and (get $.Values.kafka $name) (not $.Values.erasure.existingSecret) -}}
{{- fail (printf "kafka.%s is set without erasure.existingSecret; name the Secret whose key hash-key makes the hash that stands for a chat" $name) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.overrides.signingSecret (not .Values.kafka.overridesTopic) -}}
{{- fail "overrides.signingSecret is set without kafka.overridesTopic, where nobody signs anything; set the topic, or remove the secret" -}}
{{- end -}}
{{- if and .Values.lists.userField (not .Values.lists.file) -}}
{{- fail "lists.userField is set without lists.file; expected both; set the file, or remove the field" -}}
{{- end -}}
{{- if and (eq .Values.lists.userFieldChosenBy "platform") (not .Values.lists.userField) -}}
{{- fail "lists.userFieldChosenBy is platform without lists.userField; name the field" -}}
{{- end -}}
{{- if and .Values.model.policies .Values.model.policiesConfigMap -}}
{{- fail "model.policies and model.policiesConfigMap are both set; expected one of them" -}}
{{- end -}}
{{- $bundle := .Values.model.bundle -}}
{{- if and (eq $bundle.source "image") (not $bundle.image) -}}
{{- fail "model.bundle.source is image without model.bundle.image; name the image that holds the bundle" -}}
{{- end -}}
{{- if and (eq $bundle.source "volume") (not $bundle.volume) -}}
{{- fail "model.bundle.source is volume without model.bundle.volume; give a volume, for instance a persistentVolumeClaim" -}}
{{- end -}}
{{- if and .Values.model.publicKey (eq $bundle.source "builtin") -}}
{{- fail "model.publicKey is set with model.bundle.source builtin, a bundle that holds no signature; expected image or volume with a registry in it; set one, or remove the key" -}}
{{- end -}}
{{- $shadow := .Values.shadow.bundle -}}
{{- if and (eq $shadow.source "image") (not $shadow.image) -}}
{{- fail "shadow.bundle.source is image without shadow.bundle.image; name the image that holds the bundle" -}}
{{- end -}}
{{- if and (eq $shadow.source "volume") (not $shadow.volume) -}}
{{- fail "shadow.bundle.source is volume without shadow.bundle.volume; give a volume, for instance a persistentVolumeClaim" -}}
{{- end -}}
{{- if and .Values.replay.enabled (not .Values.replay.name) -}}
{{- fail "replay.enabled is true without replay.name; a Job cannot change, so give each replay a name of its own" -}}
{{- end -}}
{{- if and (eq .Values.replay.command "project") (gt (int .Values.replay.parallelism) 1) -}}
{{- fail (printf "replay.parallelism is %v with replay.command project, which does not share its work; expected 1" .Values.replay.parallelism) -}}
{{- end -}}
{{- if and (eq .Values.replay.command "project") (not .Values.redis.enabled) -}}
{{- fail "replay.command is project with redis.enabled false; expected a Redis to fill" -}}
{{- end -}}
{{- $auto := .Values.autoscaling -}}
{{- if and $auto.paused (eq $auto.kind "none") -}}
{{- fail "autoscaling.paused is true with autoscaling.kind none, where there is nothing to pause; set replicas to 0" -}}
{{- end -}}
{{- $minor := .Capabilities.KubeVersion.Minor | trimSuffix "+" | int -}}
{{- if or (eq $bundle.source "image") (eq $shadow.source "image") -}}
{{- if lt $minor 31 -}}
{{- fail (printf "model.bundle.source or shadow.bundle.source is image on Kubernetes %s; expected 1.31 or newer, which has image volumes; use volume or builtin" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- if and (lt $minor 35) (not .Values.imageVolumesEnabled) -}}
{{- fail (printf "model.bundle.source or shadow.bundle.source is image on Kubernetes %s, where the feature gate ImageVolume is off by default; expected 1.35 or newer, or imageVolumesEnabled true once the gate is on; else use volume or builtin" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.workload.kind "StatefulSet") (eq .Values.workload.strategy.type "Recreate") -}}
{{- fail "workload.strategy.type is Recreate with workload.kind StatefulSet, which has no such strategy; scale to 0, upgrade, scale up" -}}
{{- end -}}
{{- $console := .Values.console -}}
{{- if and $console.enabled (not $console.image.repository) -}}
{{- fail "console.enabled is true without console.image.repository; name the console's image (docker build --target console)" -}}
{{- end -}}
{{- if and $console.enabled (not $console.keysSecret) -}}
{{- fail "console.enabled is true without console.keysSecret; name the Secret that holds keys.toml (`python -m console key` makes entries)" -}}
{{- end -}}
{{- if and $console.enabled $console.metrics.enabled (not $console.metrics.keySecret) -}}
{{- fail "console.metrics.enabled is true without console.metrics.keySecret; name the Secret whose key metrics-key holds an API key" -}}
{{- end -}}
{{- if and $console.enabled (gt (int $console.replicas) 1) (not $console.apiOnly) (not $console.sessionSecret) -}}
{{- fail (printf "console.replicas is %v without console.sessionSecret: a login at one would be none at the others; set it and put session-secret into the Secret, or set console.apiOnly" $console.replicas) -}}
{{- end -}}
{{- if and $console.enabled $console.proxy.enabled (or (not $console.proxy.addresses) (not $console.proxy.roles)) -}}
{{- fail "console.proxy.enabled is true without addresses or without roles; expected both: whose headers count, and what the groups in them may do" -}}
{{- end -}}
{{- $pipeline := $console.pipeline -}}
{{- if and $console.enabled $pipeline.enabled -}}
{{- if and (gt (int $console.replicas) 1) (not $pipeline.database.existingSecret) -}}
{{- fail (printf "console.replicas is %v without console.pipeline.database.existingSecret: SQLite is one pod's file; name the Secret that holds PostgreSQL's url, or set replicas to 1" $console.replicas) -}}
{{- end -}}
{{- if and (include "verdictstream.usesSasl" .) (not $pipeline.kafkaSecret) -}}
{{- fail "console.pipeline.enabled is true without console.pipeline.kafkaSecret on a cluster with users; name the Secret of the console's own (role console of deploy/kafka/acls.yaml): the workers' may not write what people decide" -}}
{{- end -}}
{{- if and .Values.kafka.tls.clientCertificate (not $pipeline.kafkaTlsSecret) -}}
{{- fail "console.pipeline.enabled is true without console.pipeline.kafkaTlsSecret on a cluster with clients' certificates; name the Secret of the console's own" -}}
{{- end -}}
{{- if not .Values.kafka.reviewsTopic -}}
{{- fail "console.pipeline.enabled is true without kafka.reviewsTopic, where nothing asks for a person; set it, or console.pipeline.enabled to false" -}}
{{- end -}}
{{- if and $pipeline.webhooks.hosts (not $pipeline.webhooks.signingSecret) -}}
{{- fail "console.pipeline.webhooks.hosts is set without signingSecret; name the Secret whose key signing-key signs what is sent" -}}
{{- end -}}
{{- end -}}
{{- include "verdictstream.checkOwned" . -}}
{{- end -}}

{{/* Whether the workload that runs now speaks another group protocol. Only an upgrade sees it: `helm template` and what
builds on it ask no cluster, and need workload.strategy.type. */}}
{{- define "verdictstream.changesProtocol" -}}
{{- $live := lookup "apps/v1" .Values.workload.kind .Release.Namespace (include "verdictstream.fullname" .) -}}
{{- $found := "" -}}
{{- range dig "spec" "template" "spec" "containers" (list) $live -}}
{{- range .env -}}
{{- if eq .name "MODERATION_KAFKA__GROUP_PROTOCOL" -}}
{{- $found = .value -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $found (ne $found .Values.kafka.groupProtocol) -}}
{{- if and (eq .Values.workload.kind "StatefulSet") (gt (dig "spec" "replicas" 1 $live | int) 0) -}}
{{- fail (printf "kafka.groupProtocol is %s, and pods of %s run; expected none: members of both cannot be in one group; scale to 0, upgrade, scale up" .Values.kafka.groupProtocol $found) -}}
{{- end -}}
true
{{- end -}}
{{- end -}}

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
{{- end -}}

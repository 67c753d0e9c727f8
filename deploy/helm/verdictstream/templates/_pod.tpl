{{/* One pod for workers and replays. Arguments: context, component (worker|replay), args. */}}
{{- define "verdictstream.pod" -}}
{{- $ := .context -}}
metadata:
  annotations:
    checksum/config: {{ include (print $.Template.BasePath "/policy.yaml") $ | sha256sum }}
    {{- if $.Values.model.publicKey }}
    checksum/bundle-key: {{ include (print $.Template.BasePath "/bundle-key.yaml") $ | sha256sum }}
    {{- end }}
    checksum/secrets: {{ include (print $.Template.BasePath "/secrets.yaml") $ | sha256sum }}
    {{- with $.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "verdictstream.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    {{- with $.Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "verdictstream.serviceAccountName" $ }}
  automountServiceAccountToken: false
  # A service named moderation-… in the namespace would put unknown MODERATION_ names into the environment, which the
  # worker refuses.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $.Values.shutdown.terminationGracePeriodSeconds }}
  {{- with $.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext: {{- include "verdictstream.podSecurity" $ | nindent 4 }}
  containers:
    - name: worker
      image: {{ include "verdictstream.image" $ }}
      imagePullPolicy: {{ $.Values.image.pullPolicy }}
      args: {{ toJson .args }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      env:
        {{- include "verdictstream.env" . | nindent 8 }}
      resources:
        requests: &quota {cpu: {{ $.Values.resources.cpu | quote }}, memory: {{ $.Values.resources.memory }}}
        limits: *quota
      {{- if eq .component "worker" }}
      ports:
        - {name: http, containerPort: 8080}
      # A batch stalls for nine model time-outs at most; a loop that does not come round is the only reason to restart.
      livenessProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 10
        timeoutSeconds: 3
        failureThreshold: 3
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
        timeoutSeconds: 3
      startupProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: 60
      {{- end }}
      volumeMounts:
        {{- include "verdictstream.mounts" $ | nindent 8 }}
  volumes:
    {{- include "verdictstream.volumes" $ | nindent 4 }}
  {{- if and (eq .component "worker") $.Values.topologySpread.enabled }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: {{ $.Values.topologySpread.whenUnsatisfiable }}
      # A tainted node that takes no worker is no place to count, or a spread that must hold would leave pods pending.
      nodeTaintsPolicy: Honor
      labelSelector:
        matchLabels:
          {{- include "verdictstream.workerSelector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  {{- with (ternary $.Values.priorityClassName $.Values.replay.priorityClassName (eq .component "worker")) }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $.Values.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with $.Values.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with $.Values.affinity }}
  affinity: {{ toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Without a number where a cluster (OpenShift) gives out its own; never root. */}}
{{- define "verdictstream.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.podSecurityContext.runAsUser }}
runAsUser: {{ . }}
{{- end }}
{{- with .Values.podSecurityContext.runAsGroup }}
runAsGroup: {{ . }}
{{- end }}
{{- with .Values.podSecurityContext.fsGroup }}
fsGroup: {{ . }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "verdictstream.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if include "verdictstream.usesSasl" . }}
- {name: kafka-sasl, mountPath: /etc/verdictstream/kafka-sasl, readOnly: true}
{{- end }}
{{- if and (include "verdictstream.usesOauth" .) .Values.kafka.oauth.caSecret }}
- {name: oauth-tls, mountPath: /etc/verdictstream/oauth-tls, readOnly: true}
{{- end }}
{{- if .Values.redis.enabled }}
- {name: redis, mountPath: /etc/verdictstream/redis, readOnly: true}
{{- end }}
{{- if include "verdictstream.tlsSecret" . }}
- {name: kafka-tls, mountPath: /etc/verdictstream/kafka-tls, readOnly: true}
{{- end }}
{{- if .Values.redis.tlsSecret }}
- {name: redis-tls, mountPath: /etc/verdictstream/redis-tls, readOnly: true}
{{- end }}
{{- if .Values.erasure.existingSecret }}
- {name: erasure, mountPath: /etc/verdictstream/erasure, readOnly: true}
{{- end }}
{{- if .Values.overrides.signingSecret }}
- {name: overrides, mountPath: /etc/verdictstream/overrides, readOnly: true}
{{- end }}
{{- if .Values.lists.file }}
- {name: lists, mountPath: /etc/verdictstream/lists, readOnly: true}
{{- end }}
{{- if include "verdictstream.policiesConfigMap" . }}
- {name: policies, mountPath: /etc/verdictstream/policies, readOnly: true}
{{- end }}
{{- include "verdictstream.modelMounts" . }}
{{- if ne .Values.shadow.bundle.source "none" }}
- {name: shadow, mountPath: /shadow, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "verdictstream.volumes" -}}
{{- include "verdictstream.ownVolumes" . }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "verdictstream.ownVolumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- if include "verdictstream.usesSasl" . }}
- name: kafka-sasl
  secret: {secretName: {{ include "verdictstream.saslSecret" . }}, defaultMode: 0440}
{{- end }}
{{- if and (include "verdictstream.usesOauth" .) .Values.kafka.oauth.caSecret }}
- name: oauth-tls
  secret: {secretName: {{ .Values.kafka.oauth.caSecret }}, defaultMode: 0440}
{{- end }}
{{- if .Values.redis.enabled }}
- name: redis
  secret: {secretName: {{ include "verdictstream.redisSecret" . }}, defaultMode: 0440}
{{- end }}
{{- with (include "verdictstream.tlsSecret" .) }}
- name: kafka-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.redis.tlsSecret }}
- name: redis-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.overrides.signingSecret }}
- name: overrides
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- if .Values.lists.file }}
- name: lists
  configMap: {name: {{ include "verdictstream.fullname" . }}-lists}
{{- end }}
{{- with .Values.erasure.existingSecret }}
- name: erasure
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with (include "verdictstream.policiesConfigMap" .) }}
- name: policies
  configMap: {name: {{ . }}}
{{- end }}
{{- include "verdictstream.modelVolumes" . }}
{{- if eq .Values.shadow.bundle.source "image" }}
- name: shadow
  image: {reference: {{ .Values.shadow.bundle.image }}, pullPolicy: {{ .Values.image.pullPolicy }}}
{{- else if eq .Values.shadow.bundle.source "volume" }}
- name: shadow
  {{- toYaml .Values.shadow.bundle.volume | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What judges: the console's pods have these and no more. */}}
{{- define "verdictstream.modelMounts" -}}
{{- if .Values.model.publicKey }}
- {name: bundle-key, mountPath: /etc/verdictstream/bundle-key, readOnly: true}
{{- end }}
{{- if .Values.model.policy }}
- {name: policy, mountPath: /etc/verdictstream/policy, readOnly: true}
{{- end }}
{{- if ne .Values.model.bundle.source "builtin" }}
- {name: bundle, mountPath: /bundle, readOnly: true}
{{- end }}
{{- end -}}

{{- define "verdictstream.modelVolumes" -}}
{{- if .Values.model.publicKey }}
- name: bundle-key
  configMap: {name: {{ include "verdictstream.fullname" . }}-bundle-key}
{{- end }}
{{- if .Values.model.policy }}
- name: policy
  configMap: {name: {{ include "verdictstream.fullname" . }}-policy}
{{- end }}
{{- if eq .Values.model.bundle.source "image" }}
- name: bundle
  image: {reference: {{ .Values.model.bundle.image }}, pullPolicy: {{ .Values.image.pullPolicy }}}
{{- else if eq .Values.model.bundle.source "volume" }}
- name: bundle
  {{- toYaml .Values.model.bundle.volume | nindent 2 }}
{{- end }}
{{- end -}}

{{/* How fast an autoscaler moves: up at once, down slowly. `loadtest plan` simulates these very rules. */}}
{{- define "verdictstream.behavior" -}}
scaleUp:
  stabilizationWindowSeconds: {{ .Values.autoscaling.scaleUp.stabilizationSeconds }}
  selectPolicy: Max
  policies:
    - {type: Pods, value: {{ .Values.autoscaling.scaleUp.pods }}, periodSeconds: {{ .Values.autoscaling.scaleUp.periodSeconds }}}
    - {type: Percent, value: {{ .Values.autoscaling.scaleUp.percent }}, periodSeconds: {{ .Values.autoscaling.scaleUp.periodSeconds }}}
scaleDown:
  stabilizationWindowSeconds: {{ .Values.autoscaling.scaleDown.stabilizationSeconds }}
  selectPolicy: Max
  policies:
    - {type: Percent, value: {{ .Values.autoscaling.scaleDown.percent }}, periodSeconds: {{ .Values.autoscaling.scaleDown.periodSeconds }}}
{{- end -}}

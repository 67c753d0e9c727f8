"""Which tools and schemas are used, and in which versions."""

from typing import Final

from deploy.go_tools.build import GoTool, ModuleFile

HELM: Final = GoTool("helm.sh/helm/v3", "cmd/helm", "v3.22.0")
# Without service discovery, which brings the clients of all clouds; checking rules needs none of them.
PROMTOOL: Final = GoTool("github.com/prometheus/prometheus", "cmd/promtool", "v0.316.0", tags="remove_all_sd")

_KEDA: Final = ("github.com/kedacore/keda/v2", "v2.21.0")
_PROMETHEUS_OPERATOR: Final = ("github.com/prometheus-operator/prometheus-operator", "v0.85.0")

SCALED_OBJECT_CRD: Final = ModuleFile(*_KEDA, "config/crd/bases/keda.sh_scaledobjects.yaml")
TRIGGER_AUTHENTICATION_CRD: Final = ModuleFile(*_KEDA, "config/crd/bases/keda.sh_triggerauthentications.yaml")
SERVICE_MONITOR_CRD: Final = ModuleFile(
    *_PROMETHEUS_OPERATOR, "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"
)
PROMETHEUS_RULE_CRD: Final = ModuleFile(
    *_PROMETHEUS_OPERATOR, "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"
)
COMPOSE_SCHEMA: Final = ModuleFile("github.com/compose-spec/compose-go/v2", "v2.16.2", "schema/compose-spec.json")

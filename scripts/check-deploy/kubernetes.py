"""deploy/kubernetes: each overlay is built by kustomize itself, each object held to the schema of its kind, and all of them to each other and to the
sources."""

import json
import re
import subprocess
from copy import deepcopy
from urllib.parse import urlsplit

import kubernetes_validate
import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as monitoring

import broker
import sources

FOLDER = "deploy/kubernetes"
COMMAND = f"{FOLDER}/command.json"
OVERLAYS = ["demo", "production"]
# The oldest and the newest Kubernetes that the manifests are written for.
VERSIONS = ["1.30", "1.37"]
# Models made from the definitions (CRDs) of the operators that know these kinds.
CUSTOM = {
    ("keda.sh/v1alpha1", "ScaledObject"): keda.ScaledObject,
    ("keda.sh/v1alpha1", "TriggerAuthentication"): keda.TriggerAuthentication,
    ("monitoring.coreos.com/v1", "ServiceMonitor"): monitoring.ServiceMonitor,
    ("monitoring.coreos.com/v1", "PrometheusRule"): monitoring.PrometheusRule,
}
# Where docs/kubernetes.md says that traces may go without another policy. No overlay has one set, so that the check names it.
RECEIVER = "http://collector.monitoring.svc:4318"
# Workers that no queue scales.
UNSCALED = {
    "scheduler": "its queue holds one message a day, and it must look at its schedules all the time",
    "inat-enricher": "one copy uses up what iNaturalist allows, and it alone shows that the day's calls are used up, when its queue is empty",
}


def build(kubectl, overlay):
    """The objects of an overlay. Without the restrictor, since RabbitMQ's definitions stand outside."""
    path = f"{FOLDER}/overlays/{overlay}"
    done = subprocess.run(
        [kubectl, "kustomize", "--load-restrictor", "LoadRestrictionsNone", path],
        cwd=sources.ROOT, capture_output=True, text=True, check=False,
    )
    if done.returncode or done.stderr.strip():
        raise SystemExit(f"check-deploy: {path} cannot be built: {done.stderr.strip()}")
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def command():
    """The pod of the operator's command, as `kubectl run --override-type=strategic` makes it of this file: containers of one name are one."""
    pod = json.loads(sources.read(COMMAND))
    pod["metadata"] = {"name": "passereau"} | pod.get("metadata", {})
    # What `kubectl run` gives a pod by itself.
    pod["metadata"]["labels"] = {"run": "passereau"} | pod["metadata"].get("labels", {})
    pod["spec"]["containers"][0] |= {"image": "passereau/passereau:dev", "args": ["harvest", "list"]}
    pod["spec"]["restartPolicy"] = "Never"
    return pod


def namespace_of(host, own):
    """The namespace that a name of a service leads to, from a pod of namespace `own`; none where the name is not one of the cluster."""
    match = re.fullmatch(r"[^.]+(?:\.([^.]+)(?:\.svc(?:\.cluster\.local)?)?)?\.?", host)
    return (match.group(1) or own) if match else None


def leads_to(rule, namespace):
    """Whether a rule of a policy lets out to every pod of a namespace, or, without one, to addresses outside of the cluster. A rule that names nobody does both."""
    if "to" not in rule:
        return True
    if namespace is None:
        return any("ipBlock" in peer for peer in rule["to"])
    wanted = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return any(peer == {"namespaceSelector": wanted} for peer in rule["to"])


def unnoticed(name, objects):
    """Faults of network policies that the check does not find: each is made once, in a copy."""

    def changed(fault):
        copy, found = deepcopy(objects), []
        fault({(each["kind"], re.sub(r"-[0-9a-z]{10}$", "", each["metadata"]["name"])): each for each in copy})
        overlay = Overlay(lambda _, words: found.append(words), name, copy)
        overlay.check_reach(("Pod", "passereau"), command()["metadata"]["labels"])
        return found

    def receiver_elsewhere(named):
        named["ConfigMap", "passereau-settings"]["data"]["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://collector.elsewhere.svc:4318"

    def traces_elsewhere(named):
        rule = named["NetworkPolicy", "traces"]["spec"]["egress"][0]
        rule["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] = "elsewhere"

    def store_in_public(named):
        policies = named["NetworkPolicy", "store"]["spec"], named["NetworkPolicy", "internet"]["spec"]
        policies[0]["egress"] = deepcopy(policies[1]["egress"])

    faults = {
        "a receiver in another namespace": receiver_elsewhere,
        "a policy for traces to another namespace": traces_elsewhere,
        "a policy for the store that leaves private addresses out": store_in_public,
    }
    return [what for what, fault in faults.items() if not changed(fault)]


def check_kinds(complain, overlay, objects):
    for each in objects:
        where = f"{overlay}: {each['kind']} {each['metadata']['name']}"
        model = CUSTOM.get((each["apiVersion"], each["kind"]))
        if model:
            check_custom(complain, where, model, each)
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(each, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                complain(where, f"Kubernetes {version}: {error.message} at {'.'.join(str(step) for step in error.path)}")
            except kubernetes_validate.SchemaNotFoundError:
                complain(where, f"Kubernetes {version} knows no such kind, nor does {FOLDER}'s check: add a model of it")


def check_custom(complain, where, model, each):
    """The model tells wrong values; what it does not know it drops, so what is not there afterwards was no field of the kind."""
    try:
        kept = model.model_validate(each).model_dump(by_alias=True, exclude_unset=True, mode="json")
    except ValueError as error:
        complain(where, str(error))
        return
    for path in lost(each, kept):
        complain(where, f"{path} is no field of this kind")


def lost(given, kept, path=""):
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            if key not in kept:
                yield f"{path}.{key}".lstrip(".")
            else:
                yield from lost(value, kept[key], f"{path}.{key}")
    elif isinstance(given, list) and isinstance(kept, list):
        for index, (one, other) in enumerate(zip(given, kept)):
            yield from lost(one, other, f"{path}[{index}]")


class Overlay:
    """The objects of an overlay, and how they hang together."""

    def __init__(self, complain, name, objects):
        self.complain, self.name, self.objects = complain, name, objects
        self.named = {(each["kind"], each["metadata"]["name"]): each for each in objects}
        self.pods = {
            (each["kind"], each["metadata"]["name"]): each["spec"]["template"]
            for each in objects
            if each["kind"] in {"Deployment", "StatefulSet", "Job"}
        }
        self.namespace = next(each["metadata"]["name"] for each in objects if each["kind"] == "Namespace")
        self.settings = next(
            each["data"] for (kind, name), each in self.named.items() if kind == "ConfigMap" and name.startswith("passereau-settings")
        )

    def of_kind(self, kind):
        return [each for (of, _), each in self.named.items() if of == kind]

    def tell(self, each, words):
        kind, name = (each["kind"], each["metadata"]["name"]) if isinstance(each, dict) else each
        self.complain(f"{self.name}: {kind} {name}", words)

    def check(self, workers):
        for worker in [*workers, "gateway"]:
            self.check_worker(worker)
        for key, pod in self.pods.items():
            for container in pod["spec"]["containers"]:
                if re.search(r"(^|/)passereau/[\w-]+:", container["image"]):
                    self.check_ours(key, pod, container)
        pod, key = command(), ("Pod", "passereau")
        self.check_ours(key, pod, pod["spec"]["containers"][0])
        self.check_reach(key, pod["metadata"]["labels"])
        if not pod["metadata"]["labels"].get("passereau/store"):
            self.tell(key, "is not let out to the store (label passereau/store), which `passereau retention` asks")
        self.check_selectors()
        for variable in self.settings:
            if variable.startswith("PASSEREAU_") and not any(
                variable in sources.settings(sources.program_of(service)) for service in sources.services()
            ):
                self.tell(("ConfigMap", "passereau-settings"), f"sets {variable}, which no program reads")

    def check_worker(self, worker):
        key = ("Deployment", worker)
        if key not in self.pods:
            self.tell(key, "is missing")
            return
        pod = self.pods[key]
        container = next(each for each in pod["spec"]["containers"] if each["name"] == "program")
        if not re.search(rf"/{worker}:[\w.-]+$", container["image"]):
            self.tell(key, f"runs {container['image']}, not a version of {worker}")
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        if ports.get("metrics") != sources.metrics_port():
            self.tell(key, f"has no port `metrics` {sources.metrics_port()}")
        if worker == "gateway" and sources.gateway_port() not in ports.values():
            self.tell(key, f"has no port {sources.gateway_port()}")
        for probe, path in {"livenessProbe": "/healthz", "readinessProbe": "/readyz"}.items():
            asked = container.get(probe, {}).get("httpGet", {})
            if asked != {"path": path, "port": "metrics"} or path not in sources.health_paths():
                self.tell(key, f"{probe} does not ask {path}")
        own = {variable["name"]: variable["value"] for variable in container["env"]}
        missing = sources.required(worker) - set(own) - set(self.settings)
        if missing:
            self.tell(key, f"does not start without {', '.join(sorted(missing))}")
        grace = int(own.get("PASSEREAU_GRACE_SECONDS", sources.default_grace()))
        if pod["spec"].get("terminationGracePeriodSeconds", 30) < grace + 10:
            self.tell(key, f"is killed before the {grace} s of PASSEREAU_GRACE_SECONDS, and what ends after them, are over")
        if worker != "gateway" and ("passereau-amqp", worker, "amqp_url") not in secrets_of(pod):
            self.tell(key, "does not connect to RabbitMQ as its own user")
        self.check_reach(key, pod["metadata"]["labels"])
        if ("PodDisruptionBudget", worker) not in self.named:
            self.tell(("PodDisruptionBudget", worker), "is missing")

    def check_reach(self, key, labels):
        """That the network lets a pod reach what it needs, and lets in who asks for its metrics: nothing is allowed that no policy names."""
        policies = [each for each in self.of_kind("NetworkPolicy") if each["spec"]["podSelector"].get("matchLabels", {}).items() <= labels.items()]
        if not any(each["metadata"]["name"] == "nothing-by-default" for each in policies):
            self.tell(key, "is under no policy that forbids what is not named (label app.kubernetes.io/part-of)")
        rules = [(each["metadata"]["name"], rule) for each in policies for rule in each["spec"].get("egress", [])]

        def open_to(port, reaches):
            return any(reaches(name, rule) for name, rule in rules if port in {each["port"] for each in rule.get("ports", [])})

        servers = {53, 5432} if key[1] == "gateway" else {53, 5432, 5672}
        for port in sorted(servers):
            if not open_to(port, lambda _, rule: True):
                self.tell(key, f"needs port {port}, which no NetworkPolicy allows (egress)")
        if labels.get("passereau/internet") and not open_to(443, lambda _, rule: leads_to(rule, None)):
            self.tell(key, "needs HTTPS to public addresses, which no NetworkPolicy allows")
        # A bucket may have a private address, which the policy of GBIF and iNaturalist leaves out.
        if labels.get("passereau/store") and not open_to(443, lambda name, rule: name == "store" and "to" not in rule):
            self.tell(key, "needs HTTPS to the store wherever it is, which the NetworkPolicy `store` does not allow")
        for receiver in {RECEIVER, self.settings.get("OTEL_EXPORTER_OTLP_ENDPOINT", RECEIVER)}:
            address = urlsplit(receiver)
            port = address.port or (443 if address.scheme == "https" else 80)
            namespace = namespace_of(address.hostname, self.namespace)
            if not open_to(port, lambda _, rule: leads_to(rule, namespace)):
                self.tell(key, f"sends traces to {receiver}, which no NetworkPolicy allows (namespace {namespace}, port {port})")
        if key[0] == "Deployment":
            let_in = {port["port"] for each in policies for rule in each["spec"].get("ingress", []) for port in rule.get("ports", [])}
            if sources.metrics_port() not in let_in:
                self.tell(key, f"is not let in to for its metrics (port {sources.metrics_port()}) by any NetworkPolicy")

    def check_ours(self, key, pod, container):
        spec, own = pod["spec"], container.get("securityContext", {})
        if not spec.get("securityContext", {}).get("runAsNonRoot") or spec.get("automountServiceAccountToken") is not False:
            self.tell(key, "may run as root, or talk to Kubernetes")
        if spec.get("enableServiceLinks") is not False:
            self.tell(key, "gets variables named after services, which may be taken for settings")
        confined = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        if own != confined:
            self.tell(key, f"container {container['name']} is not confined: {own}")
        resources = container.get("resources", {})
        if "memory" not in resources.get("limits", {}) or not {"cpu", "memory"} <= set(resources.get("requests", {})):
            self.tell(key, "asks for no processor or memory, or has no limit of memory")
        image = container["image"].split("/")[-1].split(":")[0]
        demo = "passereau-testing" if "passereau-platform" in str(container.get("command")) else "passereau-sandbox"
        crate = demo if image == "demo" else sources.program_of(image)
        mounted = {f"/run/secrets/passereau/{path}" for _, _, path in secrets_of(pod)}
        for variable in container.get("env", []):
            name = variable["name"]
            if name.startswith("PASSEREAU_") and name not in sources.settings(crate):
                self.tell(key, f"sets {name}, which {crate} does not read")
            if name.endswith("_FILE") and variable["value"] not in mounted:
                self.tell(key, f"{name} names {variable['value']}, which is not mounted")

    def check_selectors(self):
        labels = {key: pod["metadata"]["labels"] for key, pod in self.pods.items()}
        for each in self.objects:
            kind, spec = each["kind"], each.get("spec", {})
            if kind in {"Deployment", "StatefulSet"}:
                wanted = [(each["spec"]["selector"]["matchLabels"], [labels[(kind, each["metadata"]["name"])]])]
            elif kind == "Service":
                wanted = [(spec["selector"], labels.values())]
                self.check_ports(each)
            elif kind == "PodDisruptionBudget":
                wanted = [(spec["selector"]["matchLabels"], labels.values())]
            elif kind == "NetworkPolicy":
                wanted = [(spec["podSelector"].get("matchLabels", {}), labels.values())]
            elif kind == "ServiceMonitor":
                services = [service["metadata"].get("labels", {}) for service in self.of_kind("Service")]
                wanted = [(spec["selector"]["matchLabels"], services)]
            else:
                continue
            for selector, among in wanted:
                if not any(selector.items() <= one.items() for one in among):
                    self.tell(each, f"selects nothing by {selector}")

    def check_ports(self, service):
        selector = service["spec"]["selector"]
        for key, pod in self.pods.items():
            if not selector.items() <= pod["metadata"]["labels"].items():
                continue
            known = {value for container in pod["spec"]["containers"] for port in container.get("ports", []) for value in port.values()}
            for port in service["spec"]["ports"]:
                if port.get("targetPort", port["port"]) not in known:
                    self.tell(service, f"leads to port {port.get('targetPort', port['port'])}, which {key[1]} has not")

    def check_scaling(self, workers):
        """Of an overlay that scales by queue."""
        for worker in workers:
            key = ("ScaledObject", worker)
            if worker in UNSCALED:
                continue
            if key not in self.named:
                self.tell(key, "is missing: scale it, or say why not in UNSCALED of scripts/check-deploy/kubernetes.py")
                continue
            spec, target = self.named[key]["spec"], self.named.get(("Deployment", worker), {})
            trigger = spec["triggers"][0]["metadata"]
            if spec["scaleTargetRef"]["name"] != worker or trigger["queueName"] != f"passereau.{worker}":
                self.tell(key, "scales another worker, or by another's queue")
            if trigger["queueName"] not in broker.queues():
                self.tell(key, f"asks for {trigger['queueName']}, which is no queue")
            if trigger.get("protocol") != "http" or trigger.get("excludeUnacknowledged") != "false":
                self.tell(key, "does not count the messages in work: protocol http, excludeUnacknowledged false")
            if sources.looks_out(worker) and spec["minReplicaCount"] < 1:
                self.tell(key, "may have no copy at all, but looks after what no message announces (looks_out_every)")
            if "replicas" in target.get("spec", {}):
                self.tell(key, "and its Deployment both say how many copies there are")
            if ("TriggerAuthentication", spec["triggers"][0]["authenticationRef"]["name"]) not in self.named:
                self.tell(key, "has no such TriggerAuthentication")


def secrets_of(pod):
    """Secret, key and path of each that a pod mounts."""
    found = set()
    for volume in pod["spec"].get("volumes", []):
        parts = [source["secret"] for source in volume.get("projected", {}).get("sources", []) if "secret" in source]
        parts += [volume["secret"] | {"name": volume["secret"]["secretName"]}] if "secret" in volume else []
        # Generated secrets have a digest at the end of their names.
        found.update(
            (re.sub(r"-[0-9a-z]{10}$", "", part["name"]), item["key"], item["path"]) for part in parts for item in part.get("items", [])
        )
    return found

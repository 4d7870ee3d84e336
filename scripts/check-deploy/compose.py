"""docker-compose.yml: valid for each set of profiles, complete, and holding nothing that keeps a worker from being scaled."""

import os
import re
import subprocess

import yaml

import sources

FILE = "docker-compose.yml"
PROMETHEUS = "deploy/compose/prometheus/prometheus.yml"
PRODUCTION = "deploy/compose/production.env"
GRANTS = "deploy/grafana/grants.sql"
ROLES = "deploy/compose/postgres/roles.sql"
SETTINGS = {"demo": "deploy/compose/demo/passereau.env", "production": "deploy/compose/production/passereau.env"}

# How people call it: profiles, file of variables. Without either it is what .env says.
WAYS = [
    ([], None),
    (["demo"], None),
    (["demo", "observability"], None),
    (["observability"], None),
    (["demo", "observability", "command"], None),
    ([], PRODUCTION),
    (["production", "observability"], PRODUCTION),
]


def content():
    return yaml.safe_load(sources.read(FILE))


def seconds(text):
    match = re.fullmatch(r"(\d+)s", str(text))
    return int(match.group(1)) if match else 0


def check(complain, workers):
    """Everything but what Docker Compose itself says."""
    services = content()["services"]
    for service in [*workers, "gateway"]:
        if service not in services:
            complain(FILE, f"has no service `{service}`")
            continue
        check_worker(complain, service, services[service])
    for name, service in services.items():
        where = f"{FILE}, service `{name}`"
        if "container_name" in service:
            complain(where, "has a name of its own, so that there can be only one")
        check_mounts(complain, where, service)
        if "passereau}/" in service["image"]:
            check_ours(complain, where, service)
        elif not re.search(r":v?\d[\w.-]*$", service["image"]):
            complain(where, f"image {service['image']} names no version")
        check_others(complain, where, service)
        check_ends(complain, name, services)
    check_settings(complain, services)
    check_grafana(complain, services["grafana"])
    check_prometheus(complain, workers)


def check_prometheus(complain, workers):
    """That each worker is scraped, however many copies it has: by name, not by one address."""
    scraped = yaml.safe_load(sources.read(PROMETHEUS))["scrape_configs"]
    fleet = next(job for job in scraped if job["job_name"] == "passereau")["dns_sd_configs"][0]
    for service in [*workers, "gateway"]:
        if service not in fleet["names"]:
            complain(PROMETHEUS, f"does not scrape the {service}")
    if fleet["port"] != sources.metrics_port() or fleet["type"] != "A":
        complain(PROMETHEUS, f"does not ask each copy at port {sources.metrics_port()}")


def check_worker(complain, name, service):
    where, program = f"{FILE}, service `{name}`", sources.program_of(name)
    if f"/{name}:" not in service["image"] or service["build"]["target"] != name:
        complain(where, f"is not the image, and the target, `{name}`")
    if set(service["profiles"]) != {"demo", "production"}:
        complain(where, "is not of the profiles demo and production")
    if service["healthcheck"]["test"] != ["CMD", f"/usr/local/bin/{program}", "--healthcheck=ready"]:
        complain(where, f"does not ask {program} whether it is ready")
    for port in service.get("ports", []):
        if not re.search(r"\d-\d+\}?:", str(port)):
            complain(where, f"port {port} is one of the host, so that there can be only one")
    grace = int(service["environment"].get("PASSEREAU_GRACE_SECONDS", sources.default_grace()))
    if seconds(service["stop_grace_period"]) < grace + 10:
        complain(where, f"is killed before the {grace} s of PASSEREAU_GRACE_SECONDS, and what ends after them, are over")
    own = "amqp_" + name.replace("-", "_")
    if name != "gateway" and {"source": own, "target": "amqp_url"} not in service["secrets"]:
        complain(where, f"does not connect to RabbitMQ as its own user (secret {own})")


def check_ours(complain, where, service):
    for key, value in {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"], "user": "65532:65532"}.items():
        if service.get(key) != value:
            complain(where, f"has not {key}: {value}")
    mounted = {secret if isinstance(secret, str) else secret["target"] for secret in service.get("secrets", [])}
    for name, value in service.get("environment", {}).items():
        if name.endswith("_FILE") and value.removeprefix("/run/secrets/") not in mounted:
            complain(where, f"{name} names {value}, which is not mounted")


def check_others(complain, where, service):
    """What a service of anybody needs where it takes secrets: to be the user that docs/containers.md gives the files to, and the authorities."""
    if service.get("secrets") and service.get("user", "").split(":")[0] != "65532":
        complain(where, "takes secrets and is not user 65532, who alone may read the files")
    mounts = [volume.split(":")[-2] for volume in service.get("volumes", [])]
    if service.get("secrets") and service["profiles"] != ["demo"] and "/etc/passereau/tls" not in mounts:
        complain(where, "takes secrets of a server, and no certificates of authorities (tls/)")


def check_ends(complain, name, services):
    """`up --wait` takes a container that ends for one that failed, unless a service that starts with it waits for its end."""
    job = services[name]
    if job.get("restart") != "no" or job["profiles"] == ["command"]:
        return
    waiting = [each for each in services.values() if each.get("depends_on", {}).get(name, {}).get("condition") == "service_completed_successfully"]
    for profile in job["profiles"]:
        if not any(profile in each["profiles"] for each in waiting):
            complain(f"{FILE}, service `{name}`", f"ends, and nothing of profile {profile} waits for that: `up --wait` would fail")


def check_grafana(complain, service):
    """Whoever makes panels can send any statement: Grafana is nobody but the role whose few rights stand in a file."""
    role = sources.found(r"GRANT USAGE ON SCHEMA passereau TO (\w+);", GRANTS)
    if set(re.findall(r"\bTO (\w+);", sources.read(GRANTS))) != {role}:
        complain(GRANTS, "grants to more than one role")
    asked = {FILE: service["environment"]["PASSEREAU_GRAFANA_POSTGRESQL_USER"], PRODUCTION: sources.env_file(PRODUCTION)[0]["GRAFANA_DATABASE_USER"]}
    for path, user in asked.items():
        if user not in {role, f"${{GRAFANA_DATABASE_USER:-{role}}}"}:
            complain(path, f"Grafana asks PostgreSQL as {user}, not as the {role} of {GRANTS}")
    if f"CREATE ROLE {role} LOGIN" not in sources.read(ROLES):
        complain(ROLES, f"does not make {role}")


def check_mounts(complain, where, service):
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("./") and not (sources.ROOT / source).exists():
            complain(where, f"mounts {source}, which does not exist")


def program(service):
    """Crate of the program that a service of ours starts."""
    image = service["image"].split("/")[-1].split(":")[0]
    if image == "demo":
        return "passereau-testing" if "passereau-platform" in str(service.get("entrypoint")) else "passereau-sandbox"
    return sources.program_of(image)


def check_settings(complain, services):
    ours = {name: service for name, service in services.items() if "passereau}/" in service["image"]}
    for name, service in ours.items():
        for variable in service.get("environment", {}):
            if variable.startswith("PASSEREAU_") and variable not in sources.settings(program(service)):
                complain(f"{FILE}, service `{name}`", f"sets {variable}, which {program(service)} does not read")
    for profile, path in SETTINGS.items():
        given, named = sources.env_file(path)
        known = set().union(*(sources.settings(program(service)) for service in ours.values()))
        for variable in sorted(named):
            if variable.startswith("PASSEREAU_") and variable not in known:
                complain(path, f"sets {variable}, which no program reads")
        for name, service in ours.items():
            if name in sources.services() and name != "passereau" and profile in service["profiles"]:
                missing = sources.required(name) - set(given) - set(service["environment"])
                if missing:
                    complain(path, f"the {name} does not start without {', '.join(sorted(missing))}")


def validate(complain, command, workers):
    """Docker Compose's own word on each way of calling it, and that each way but that of observability alone starts every worker; gives how many there are."""
    for profiles, variables in WAYS:
        arguments = [part for profile in profiles for part in ("--profile", profile)]
        environment = {key: value for key, value in os.environ.items() if key not in {"COMPOSE_FILE", "COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME", "SETTINGS"}}
        if variables:
            arguments = ["--env-file", variables, *arguments]
            # The template stands in for /etc/passereau, which this machine has not.
            environment["SETTINGS"] = "./deploy/compose/production"
        said = {}
        for asked in ("--quiet", "--services"):
            done = subprocess.run(
                [*command, *arguments, "config", asked], cwd=sources.ROOT, env=environment, capture_output=True, text=True, check=False
            )
            said[asked] = done.stdout.split()
            if done.returncode or "warning" in done.stderr.lower():
                complain(FILE, f"`docker compose {' '.join(arguments)} config {asked}` says: {done.stderr.strip()}")
        for worker in [*workers, "gateway"]:
            if profiles != ["observability"] and worker not in said["--services"]:
                complain(FILE, f"`docker compose {' '.join(arguments)} up` does not start the {worker}")
    return len(WAYS)

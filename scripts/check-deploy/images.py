"""deploy/Dockerfile and deploy/docker-bake.hcl: an image for each program, by the rules of hadolint and by ours."""

import re
import subprocess

import sources

DOCKERFILE = "deploy/Dockerfile"
BAKE = "deploy/docker-bake.hcl"


def stages():
    """Name and text of each stage."""
    parts = re.split(r"^FROM (\S+) AS (\S+)$", sources.read(DOCKERFILE), flags=re.MULTILINE)
    return {name: (base, body) for base, name, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True)}


def check(complain, workers):
    """Everything but hadolint's part."""
    named, bake = stages(), sources.read(BAKE)
    for service in [*workers, "gateway", "passereau"]:
        program = sources.program_of(service)
        if f'"{service}"' not in bake:
            complain(BAKE, f"does not name {service}")
        base, body = named.get(service, (None, ""))
        if base != "runtime":
            complain(DOCKERFILE, f"has no stage `{service}` on top of `runtime`")
        if f"/out/bin/{program} /usr/local/bin/" not in body or f'ENTRYPOINT ["/usr/local/bin/{program}"]' not in body:
            complain(DOCKERFILE, f"stage `{service}` does not hold, and start, {program}")
        if service != "passereau" and f'CMD ["/usr/local/bin/{program}", "--healthcheck"]' not in body:
            complain(DOCKERFILE, f"stage `{service}` is not its own health check")
        if not re.search(rf"(?<![\w-]){program}(?![\w-])", named["build"][1]):
            complain(DOCKERFILE, f"stage `build` does not build {program}")
    runtime = named["runtime"][1]
    if not re.search(r"^USER \d+:\d+$", runtime, re.MULTILINE):
        complain(DOCKERFILE, "`runtime` names no user by number, which Kubernetes needs in order to know that it is not root")
    if f"EXPOSE {sources.metrics_port()}" not in runtime:
        complain(DOCKERFILE, f"`runtime` does not expose {sources.metrics_port()}, where metrics and health are served")
    if f"EXPOSE {sources.gateway_port()}" not in named["gateway"][1]:
        complain(DOCKERFILE, f"`gateway` does not expose {sources.gateway_port()}")
    rust = sources.found(r'rust-version = "([0-9.]+)"', "Cargo.toml")
    if f"rust:{rust}-" not in sources.read(DOCKERFILE):
        complain(DOCKERFILE, f"does not build with Rust {rust}, as Cargo.toml says")
    for name in re.findall(r"(PASSEREAU_[A-Z0-9_]+)=", runtime):
        if not any(name in sources.settings(sources.program_of(service)) for service in sources.services()):
            complain(DOCKERFILE, f"sets {name}, which no program reads")


def lint(complain, hadolint):
    done = subprocess.run([hadolint, sources.ROOT / DOCKERFILE], capture_output=True, text=True, check=False)
    if done.returncode:
        complain(DOCKERFILE, f"hadolint says:\n{done.stdout}{done.stderr}")

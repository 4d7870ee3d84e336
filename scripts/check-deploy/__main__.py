"""Holds what deploys the fleet (deploy/Dockerfile, docker-compose.yml, deploy/kubernetes) to the sources and to the tools of others.

Nothing is run in a container and no cluster is asked. `scripts/check-deploy.sh` starts it; `--write` writes what is generated."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import alerts
import broker
import compose
import images
import sources

TOOLS = Path(sys.prefix)


class Complaints(list):
    def __call__(self, where, words):
        self.append((where, words))


def tool(name, *places):
    """The program, or none, said aloud."""
    for place in places:
        if place and Path(place).exists():
            return str(place)
    return None


def version(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def docker_compose():
    """The one of PyPI, pinned; else that of the machine, if it is of version 2 or later."""
    pinned = next(iter(TOOLS.glob("lib/python*/site-packages/compose/docker-compose")), None)
    if pinned:
        return [str(pinned)]
    return ["docker", "compose"] if version(["docker", "compose", "version"]) else None


def skip(what, why):
    print(f"notice: {what} NOT checked: {why}")


def places(complain, workers, overlays, kubernetes):
    """What must name every worker."""
    images.check(complain, workers)
    compose.check(complain, workers)
    for overlay, objects in overlays.items():
        one = kubernetes.Overlay(complain, overlay, objects)
        one.check(workers)
        if any(each["kind"] == "ScaledObject" for each in objects):
            one.check_scaling(workers)


def main():
    if "--write" in sys.argv[1:]:
        for generated, text in {broker.USERS: broker.text(), alerts.OBJECT: alerts.text()}.items():
            (sources.ROOT / generated).write_text(text, encoding="utf-8")
        return 0
    # Only here: writing needs none of what it imports.
    import kubernetes

    complaints = Complaints()
    kubectl = tool("kubectl", TOOLS / "bin" / "kubectl", shutil.which("kubectl"))
    overlays = {name: kubernetes.build(kubectl, name) for name in kubernetes.OVERLAYS} if kubectl else {}
    if not kubectl:
        skip("deploy/kubernetes was", "there is no kubectl; PyPI has one for Linux on x86-64 alone")
    places(complaints, sources.workers(), overlays, kubernetes)
    broker.check(complaints)
    alerts.check(complaints, overlays)
    objects = 0
    for name, built in overlays.items():
        kubernetes.check_kinds(complaints, name, built)
        objects += len(built)
    kubernetes.check_kinds(complaints, kubernetes.COMMAND, [kubernetes.command()])
    ways, command = 0, docker_compose()
    if command:
        ways = compose.validate(complaints, command, sources.workers())
    else:
        skip("docker-compose.yml was, by Docker Compose itself,", f"there is none for {platform.machine()}")
    hadolint = tool("hadolint", TOOLS / "bin" / "hadolint", shutil.which("hadolint"))
    if hadolint:
        images.lint(complaints, hadolint)
    else:
        skip("deploy/Dockerfile was, by hadolint,", f"there is none for {platform.machine()}")
    skip("whether the images build and run was", "that needs a container engine and its two base images; docs/containers.md says how")

    # The check itself: a worker that nothing deploys must be missed everywhere.
    missed = Complaints()
    places(missed, [*sources.workers(), "newcomer"], overlays, kubernetes)
    new = {where for where, words in missed if (where, words) not in complaints}
    expected = {images.DOCKERFILE, images.BAKE, compose.FILE, compose.PROMETHEUS}
    expected |= {f"{name}: Deployment newcomer" for name in overlays} | ({"production: ScaledObject newcomer"} if overlays else set())
    for where in sorted(expected - new):
        complaints(where, "a worker that is missing there would not be noticed: mend scripts/check-deploy")

    for name, built in overlays.items():
        for what in kubernetes.unnoticed(name, built):
            complaints(f"{name}: NetworkPolicy", f"{what} would not be noticed: mend scripts/check-deploy")

    for where, words in complaints:
        print(f"check-deploy: {where}: {words}", file=sys.stderr)
    print(
        f"check-deploy: {len(complaints)} complaints; {len(sources.workers())} workers and the gateway in {len(images.stages())} stages, "
        f"{len(compose.content()['services'])} services in {ways} ways to call them, {objects} objects in {len(overlays)} overlays"
    )
    return 1 if complaints else 0


if __name__ == "__main__":
    os.chdir(sources.ROOT)
    sys.exit(main())

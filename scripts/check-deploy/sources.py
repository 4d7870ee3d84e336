"""What the sources say: workers, programs, their settings, ports and paths. Read as text, so that nothing has to be built."""

import re
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

NAME = re.compile(r'"(PASSEREAU_[A-Z0-9_]+)"')
ARG = re.compile(r"#\[arg\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)\]\s*(?:pub(?:\([a-z]+\))?\s+)?\w+:\s*([^\n]+)")


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def found(pattern, path):
    """The first group of `pattern`, which must be in the file: a check that finds nothing to compare with would always pass."""
    match = re.search(pattern, read(path))
    if not match:
        raise SystemExit(f"check-deploy: {path} has no {pattern!r} any more; mend scripts/check-deploy/sources.py")
    return match.group(1)


@cache
def workers():
    """The list WORKERS: who has a queue."""
    body = found(r"pub const WORKERS: &\[WorkerKinds\] = &\[(.*?)\n\];".replace(".*?", r"[\s\S]*?"), "shared/contracts/src/task.rs")
    names = re.findall(r'worker: "([a-z-]+)"', body)
    if len(names) < 2:
        raise SystemExit("check-deploy: the list WORKERS could not be read; mend scripts/check-deploy/sources.py")
    return names


@cache
def services():
    """Folders of services: the workers, the gateway, and the command."""
    return sorted(path.parent.name for path in ROOT.glob("services/*/Cargo.toml"))


def program_of(service):
    return "passereau" if service == "passereau" else f"passereau-{service}"


@cache
def crates():
    """Folder of each crate of the workspace, and the crates of ours it depends on."""
    of = {}
    for manifest in [*ROOT.glob("shared/*/Cargo.toml"), *ROOT.glob("services/*/Cargo.toml")]:
        content = tomllib.loads(manifest.read_text(encoding="utf-8"))
        ours = {name for name in content.get("dependencies", {}) if name.startswith("passereau")}
        of[content["package"]["name"]] = (manifest.parent, ours)
    return of


@cache
def closure(crate):
    seen, waiting = set(), [crate]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(crates()[name][1])
    return frozenset(seen)


@cache
def settings(crate):
    """Names that a program of this crate may read: those that stand in its sources and in those of the crates it is made of."""
    names, stems = set(), set()
    for name in closure(crate):
        for source in (crates()[name][0] / "src").rglob("*.rs"):
            text = source.read_text(encoding="utf-8")
            names.update(NAME.findall(text))
            if 'format!("{name}_FILE")' in text:
                stems.update(NAME.findall(text))
    return frozenset(names | {f"{stem}_FILE" for stem in stems})


@cache
def required(service):
    """Settings without which a worker may not start: options with neither a default nor an Option, of its own crate and of those it is made of.
    A library may have some that this worker does not take; all of them are in each file of settings, so that is no loss."""
    names = set()
    for name in closure(program_of(service)):
        for source in (crates()[name][0] / "src").rglob("*.rs"):
            for attributes, kind in ARG.findall(source.read_text(encoding="utf-8")):
                env = re.search(r'env = "(PASSEREAU_[A-Z0-9_]+)"', attributes)
                if env and "default_value" not in attributes and not re.match(r"(Option|Vec|bool)\b", kind):
                    names.add(env.group(1))
    return frozenset(names)


def looks_out(service):
    """Whether a worker does something that no message announces: then one copy must always run."""
    return any("fn looks_out_every" in path.read_text(encoding="utf-8") for path in (ROOT / "services" / service / "src").rglob("*.rs"))


def metrics_port():
    return int(found(r'env = "PASSEREAU_HTTP_LISTEN",\s*default_value = "0\.0\.0\.0:(\d+)"', "shared/telemetry/src/http.rs"))


def gateway_port():
    return int(found(r'env = "PASSEREAU_GATEWAY_LISTEN", default_value = "0\.0\.0\.0:(\d+)"', "services/gateway/src/config.rs"))


def health_paths():
    return set(re.findall(r'\.route\("(/[a-z]+)"', read("shared/telemetry/src/http.rs")))


def default_grace():
    return int(found(r'env = "PASSEREAU_GRACE_SECONDS", default_value_t = (\d+)', "shared/runner/src/process.rs"))


def env_file(path):
    """Variables of a file of settings, and of those that it suggests in comments."""
    suggested = re.findall(r"^#?([A-Z][A-Z0-9_]+)=(.*)$", read(path), re.MULTILINE)
    given = dict(re.findall(r"^([A-Z][A-Z0-9_]+)=(.*)$", read(path), re.MULTILINE))
    return given, {name for name, _ in suggested}

# Every image for a registry, with SBOM and provenance: REGISTRY=registry.example.org/passereau VERSION=0.1.0 docker buildx bake -f deploy/docker-bake.hcl --push
# (attestations need a builder that can hold them: `docker buildx create --use`).

variable "REGISTRY" { default = "passereau" }
variable "VERSION" { default = "dev" }
variable "REVISION" { default = "unknown" }

group "default" {
  targets = ["image"]
}

target "image" {
  name       = "image-${program}"
  matrix     = {
    program = [
      "passereau", "requester", "poller", "downloader", "loader", "inat-enricher", "upserter", "exporter", "scheduler", "gateway", "demo",
    ]
  }
  context    = "."
  dockerfile = "deploy/Dockerfile"
  target     = program
  args       = { VERSION = VERSION, REVISION = REVISION }
  tags       = ["${REGISTRY}/${program}:${VERSION}"]
  attest     = ["type=sbom", "type=provenance,mode=max"]
}

//! The table: every row with its title, its rule, and what to change where it does not hold.

mod baked;
mod chart;
mod dependencies;
mod image;
mod secrets;
mod services;
mod workloads;

use crate::judgement::{Judgement, Row};
use crate::project::Project;
use crate::release::Release;
use todohost_plugin::Outcome;

/// What recipes and the chart's files show.
pub const OF_PROJECT: [Row<Project>; 11] = [
    Row {
        id: "dockerfile",
        title: "XI. Dockerfile for each service",
        help: "write a Dockerfile in the image's context, or name it with `dockerfile` under [images] in todohost.toml; its name holds Dockerfile or Containerfile",
        gravity: Outcome::Failed,
        judge: image::dockerfile,
    },
    Row {
        id: "multi-stage",
        title: "XI. Multi-stage builds",
        help: "build in a first stage (`FROM ... AS builder`) and take only the result with `COPY --from=builder`",
        gravity: Outcome::Failed,
        judge: image::stages,
    },
    Row {
        id: "slim-base",
        title: "XI. Slim base images",
        help: "let the last stage begin with a small variant: -slim, -alpine, distroless or scratch",
        gravity: Outcome::Failed,
        judge: image::base,
    },
    Row {
        id: "dependency-layer",
        title: "XI. Dependencies in separate layer",
        help: "copy the files that name dependencies, install, and copy the sources after that",
        gravity: Outcome::Failed,
        judge: dependencies::layer,
    },
    Row {
        id: "no-dev-dependencies",
        title: "XI. No dev dependencies in image",
        help: "install with --omit=dev (npm), --no-dev (uv), --prod (pnpm) or what your tool calls it, or copy only what was built",
        gravity: Outcome::Failed,
        judge: dependencies::production,
    },
    Row {
        id: "no-baked-secrets",
        title: "XI. Secrets not baked in",
        help: "give secrets to the container when it runs, by a Secret; while building, use RUN --mount=type=secret; leave files of secrets out by .dockerignore",
        gravity: Outcome::Failed,
        judge: baked::secrets,
    },
    Row {
        id: "expose",
        title: "XI. EXPOSE directive",
        help: "write EXPOSE with the port that the server listens on, in the last stage",
        gravity: Outcome::Failed,
        judge: image::expose,
    },
    Row {
        id: "chart",
        title: "XI. Helm chart structure",
        help: "a chart has Chart.yaml (apiVersion, name, version), values.yaml and templates/; `helm create` makes one",
        gravity: Outcome::Failed,
        judge: chart::structure,
    },
    Row {
        id: "non-root",
        title: "XI. Non-root user",
        help: "create a user and end the last stage with USER and its number, e.g. USER 10001",
        gravity: Outcome::Failed,
        judge: image::user,
    },
    Row {
        id: "spec-driven",
        title: "I. Spec-Driven Development",
        help: "",
        gravity: Outcome::Failed,
        judge: |_| Judgement::unless("no program can tell whether the specification came first"),
    },
    Row {
        id: "clean-code",
        title: "II. Clean Code",
        help: "",
        gravity: Outcome::Failed,
        judge: |_| Judgement::unless("no program can tell whether people can read it"),
    },
];

/// What the rendered objects show.
pub const OF_RELEASE: [Row<Release>; 6] = [
    Row {
        id: "resources",
        title: "XI. Resource requests/limits",
        help: "give each container resources.requests.cpu, resources.requests.memory and resources.limits.memory",
        gravity: Outcome::Failed,
        judge: workloads::resources,
    },
    Row {
        id: "probes",
        title: "XI. Liveness/readiness probes",
        help: "give each container that listens a livenessProbe and a readinessProbe",
        gravity: Outcome::Failed,
        judge: workloads::probes,
    },
    Row {
        id: "services",
        title: "XI. Services with correct types",
        help: "ClusterIP for what only the cluster calls, NodePort for what people open; selector and targetPort have to find a container",
        gravity: Outcome::Failed,
        judge: services::types,
    },
    Row {
        id: "secrets",
        title: "XI. Secrets in K8s Secret",
        help: "put the value into a Secret and refer to it with valueFrom.secretKeyRef",
        gravity: Outcome::Failed,
        judge: secrets::placed,
    },
    Row {
        id: "simplicity",
        title: "VI. Simplicity First",
        help: "let a template run it, or take it out of todohost.toml; objects of hooks are not looked at",
        gravity: Outcome::Warning,
        judge: workloads::one_chart,
    },
    Row {
        id: "security",
        title: "VIII. Security",
        help: "take the right away from the pod's or container's securityContext",
        gravity: Outcome::Failed,
        judge: workloads::security,
    },
];

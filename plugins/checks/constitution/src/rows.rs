//! The two tables, as the plan writes them: every row with its title, its rule, and what to change where it does not hold.

mod baked;
mod chart;
mod dependencies;
mod image;
mod secrets;
mod services;
mod workloads;

use crate::judgement::{Judge, Row};
use todohost_plugin::Outcome;
use todohost_plugin::check::{CheckSpec, Phase};

/// A table of the constitution.
pub struct Table {
    /// The name of its check.
    pub id: &'static str,
    /// Above it.
    pub title: &'static str,
    /// When its rows are judged.
    pub phases: &'static [Phase],
    /// In their order.
    pub rows: &'static [Row],
}

impl Table {
    /// The check that the host is told of.
    pub fn spec(&self) -> CheckSpec {
        let spec = CheckSpec::new(self.id, self.title, self.phases.iter().copied());
        self.rows.iter().fold(spec, |spec, row| spec.row(row.code(), row.title))
    }
}

/// Both tables.
pub const TABLES: [Table; 2] = [
    Table {
        id: "principle-xi",
        title: "Principle XI: Container & Orchestration",
        phases: &[Phase::Source, Phase::Rendered],
        rows: &PRINCIPLE_XI,
    },
    Table {
        id: "other-principles",
        title: "Other principles",
        phases: &[Phase::Rendered],
        rows: &OTHER_PRINCIPLES,
    },
];

const PRINCIPLE_XI: [Row; 13] = [
    Row {
        id: "dockerfile",
        title: "Dockerfile for each service",
        help: "write a Dockerfile in the image's context, or name it with `dockerfile` under [images] in todohost.toml; its name holds Dockerfile or Containerfile",
        gravity: Outcome::Failed,
        judge: Judge::Files(image::dockerfile),
    },
    Row {
        id: "multi-stage",
        title: "Multi-stage builds",
        help: "build in a first stage (`FROM ... AS builder`) and take only the result with `COPY --from=builder`",
        gravity: Outcome::Failed,
        judge: Judge::Files(image::stages),
    },
    Row {
        id: "slim-base",
        title: "Slim base images",
        help: "let the last stage begin with a small variant: -slim, -alpine, distroless or scratch",
        gravity: Outcome::Failed,
        judge: Judge::Files(image::base),
    },
    Row {
        id: "dependency-layer",
        title: "Dependencies in separate layer",
        help: "copy the files that name dependencies, install, and copy the sources after that",
        gravity: Outcome::Failed,
        judge: Judge::Files(dependencies::layer),
    },
    Row {
        id: "no-dev-dependencies",
        title: "No dev dependencies in image",
        help: "install with --omit=dev (npm), --no-dev (uv), --prod (pnpm) or what your tool calls it, or copy only what was built",
        gravity: Outcome::Failed,
        judge: Judge::Files(dependencies::production),
    },
    Row {
        id: "no-baked-secrets",
        title: "Secrets not baked in",
        help: "give secrets to the container when it runs, by a Secret; while building, use RUN --mount=type=secret; leave files of secrets out by .dockerignore",
        gravity: Outcome::Failed,
        judge: Judge::Files(baked::secrets),
    },
    Row {
        id: "expose",
        title: "EXPOSE directive",
        help: "write EXPOSE with the port that the server listens on, in the last stage",
        gravity: Outcome::Failed,
        judge: Judge::Files(image::expose),
    },
    Row {
        id: "chart",
        title: "Helm chart structure",
        help: "a chart has Chart.yaml (apiVersion, name, version), values.yaml and templates/; `helm create` makes one",
        gravity: Outcome::Failed,
        judge: Judge::Files(chart::structure),
    },
    Row {
        id: "resources",
        title: "Resource requests/limits",
        help: "give each container resources.requests.cpu, resources.requests.memory and resources.limits.memory",
        gravity: Outcome::Failed,
        judge: Judge::Objects(workloads::resources),
    },
    Row {
        id: "probes",
        title: "Liveness/readiness probes",
        help: "give each container that listens a livenessProbe and a readinessProbe",
        gravity: Outcome::Failed,
        judge: Judge::Objects(workloads::probes),
    },
    Row {
        id: "services",
        title: "Services with correct types",
        help: "ClusterIP for what only the cluster calls, NodePort for what people open; selector and targetPort have to find a container",
        gravity: Outcome::Failed,
        judge: Judge::Objects(services::types),
    },
    Row {
        id: "secrets",
        title: "Secrets in K8s Secret",
        help: "put the value into a Secret and refer to it with valueFrom.secretKeyRef",
        gravity: Outcome::Failed,
        judge: Judge::Objects(secrets::placed),
    },
    Row {
        id: "non-root",
        title: "Non-root user",
        help: "create a user and end the last stage with USER and its number, e.g. USER 10001",
        gravity: Outcome::Failed,
        judge: Judge::Files(image::user),
    },
];

const OTHER_PRINCIPLES: [Row; 4] = [
    Row {
        id: "spec-driven",
        title: "I. Spec-Driven Development",
        help: "",
        gravity: Outcome::Failed,
        judge: Judge::Nobody("no program can tell whether the specification came first"),
    },
    Row {
        id: "clean-code",
        title: "II. Clean Code",
        help: "",
        gravity: Outcome::Failed,
        judge: Judge::Nobody("no program can tell whether people can read it"),
    },
    Row {
        id: "simplicity",
        title: "VI. Simplicity First",
        help: "let a template run it, or take it out of todohost.toml; objects of hooks are not looked at",
        gravity: Outcome::Warning,
        judge: Judge::Objects(workloads::one_chart),
    },
    Row {
        id: "security",
        title: "VIII. Security",
        help: "take the right away from the pod's or container's securityContext, and let it say runAsNonRoot: true",
        gravity: Outcome::Failed,
        judge: Judge::Objects(workloads::security),
    },
];

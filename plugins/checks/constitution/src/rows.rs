//! The two tables of the plan: every row with its title, its rule, and the help for a fault.

mod baked;
mod chart;
mod dependencies;
mod image;
mod secrets;
mod services;
mod workloads;

use crate::judgement::{Row, Rule};
use todohost_plugin::Outcome;
use todohost_plugin::check::{CheckSpec, Phase};

/// A table of the constitution.
pub struct Table {
    /// The name of its check.
    pub id: &'static str,
    /// The heading of the table.
    pub title: &'static str,
    /// The phases in which its rows are decided.
    pub phases: &'static [Phase],
    pub rows: &'static [Row],
}

impl Table {
    /// The check as it is declared to the host.
    pub fn spec(&self) -> CheckSpec {
        let spec = CheckSpec::new(self.id, self.title, self.phases.iter().copied());
        self.rows.iter().fold(spec, |spec, row| spec.row(row.code(), row.title))
    }
}

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
        help: "write a Dockerfile in the image's context, or set its path with `dockerfile` under [images] in todohost.toml; the file name must contain Dockerfile or Containerfile",
        fault_outcome: Outcome::Failed,
        rule: Rule::Files(image::dockerfile),
    },
    Row {
        id: "multi-stage",
        title: "Multi-stage builds",
        help: "build in a first stage (`FROM ... AS builder`) and copy only the result with `COPY --from=builder`",
        fault_outcome: Outcome::Failed,
        rule: Rule::Files(image::stages),
    },
    Row {
        id: "slim-base",
        title: "Slim base images",
        help: "start the last stage from a small base image: -slim, -alpine, distroless or scratch",
        fault_outcome: Outcome::Failed,
        rule: Rule::Files(image::base),
    },
    Row {
        id: "dependency-layer",
        title: "Dependencies in separate layer",
        help: "copy the manifest and lock files, install, and copy the sources after that",
        fault_outcome: Outcome::Failed,
        rule: Rule::Files(dependencies::layer),
    },
    Row {
        id: "no-dev-dependencies",
        title: "No dev dependencies in image",
        help: "install with --omit=dev (npm), --no-dev (uv), --prod (pnpm) or your tool's equivalent, or copy only the build output",
        fault_outcome: Outcome::Failed,
        rule: Rule::Files(dependencies::production),
    },
    Row {
        id: "no-baked-secrets",
        title: "Secrets not baked in",
        help: "pass secrets to the running container in a Secret, and to the build with RUN --mount=type=secret; exclude secret files in .dockerignore",
        fault_outcome: Outcome::Failed,
        rule: Rule::Files(baked::secrets),
    },
    Row {
        id: "expose",
        title: "EXPOSE directive",
        help: "add EXPOSE with the server's port to the last stage",
        fault_outcome: Outcome::Failed,
        rule: Rule::Files(image::expose),
    },
    Row {
        id: "chart",
        title: "Helm chart structure",
        help: "add the missing part: a chart has Chart.yaml (apiVersion, name, version), values.yaml and templates/; `helm create NAME` writes them all",
        fault_outcome: Outcome::Failed,
        rule: Rule::Files(chart::structure),
    },
    Row {
        id: "resources",
        title: "Resource requests/limits",
        help: "set resources.requests.cpu, resources.requests.memory and resources.limits.memory for each container",
        fault_outcome: Outcome::Failed,
        rule: Rule::Objects(workloads::resources),
    },
    Row {
        id: "probes",
        title: "Liveness/readiness probes",
        help: "add a livenessProbe and a readinessProbe to each container that listens on a port",
        fault_outcome: Outcome::Failed,
        rule: Rule::Objects(workloads::probes),
    },
    Row {
        id: "services",
        title: "Services with correct types",
        help: "use ClusterIP for Services called only inside the cluster and NodePort for Services that users open; selector and targetPort must match a container",
        fault_outcome: Outcome::Failed,
        rule: Rule::Objects(services::types),
    },
    Row {
        id: "secrets",
        title: "Secrets in K8s Secret",
        help: "move the value into a Secret and reference it with valueFrom.secretKeyRef",
        fault_outcome: Outcome::Failed,
        rule: Rule::Objects(secrets::placed),
    },
    Row {
        id: "non-root",
        title: "Non-root user",
        help: "create a user and end the last stage with USER and its number, e.g. USER 10001",
        fault_outcome: Outcome::Failed,
        rule: Rule::Files(image::user),
    },
];

const OTHER_PRINCIPLES: [Row; 4] = [
    Row {
        id: "spec-driven",
        title: "I. Spec-Driven Development",
        help: "",
        fault_outcome: Outcome::Failed,
        rule: Rule::Manual("no program can check whether the specification came first"),
    },
    Row {
        id: "clean-code",
        title: "II. Clean Code",
        help: "",
        fault_outcome: Outcome::Failed,
        rule: Rule::Manual("no program can check whether the code is readable"),
    },
    Row {
        id: "simplicity",
        title: "VI. Simplicity First",
        help: "use the image in a template, or remove it from todohost.toml; hooks are not checked",
        fault_outcome: Outcome::Warning,
        rule: Rule::Objects(workloads::one_chart),
    },
    Row {
        id: "security",
        title: "VIII. Security",
        help: "remove the setting from the pod or container, and set runAsNonRoot: true in its securityContext",
        fault_outcome: Outcome::Failed,
        rule: Rule::Objects(workloads::security),
    },
];

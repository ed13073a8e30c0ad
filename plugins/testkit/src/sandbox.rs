//! Runs one component in the real host as a check of a project, with or without the user's consent.
//!
//! The project is [`Project::shop`] without its image, with the component as its only check. Change it through
//! [`Sandbox::project`] before a run.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Finished, Host, Project};

const IMAGES: &str = r#"[images.shop-web]
context = "web"
values = { "image.repository" = "{name}", "image.tag" = "{tag}" }

"#;

/// A component and the project that it checks.
#[derive(Debug)]
pub struct Sandbox {
    host: PathBuf,
    core: PathBuf,
    component: PathBuf,
    project: Project,
}

/// Result of a check.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Result of the host's run.
    pub finished: Finished,
    /// The `finding` events.
    pub findings: Vec<Value>,
}

impl Sandbox {
    /// Copies a component into a new project. `host` is the binary of the host, `core` the folder of its core plugins.
    pub fn new(host: &Path, core: &Path, component: &Path) -> Self {
        let project = Project::shop();
        let place = project.root().join("check.wasm");
        std::fs::copy(component, &place).unwrap_or_else(|error| {
            panic!("the component {} is not built: {error}", component.display())
        });
        // A check does not need images, and a build would need a builder.
        project.replace("todohost.toml", IMAGES, "");
        project.append("todohost.toml", "\n[checks.subject]\nplugin = \"check.wasm\"\n");
        Self { host: host.to_owned(), core: core.to_owned(), component: place, project }
    }

    /// The checked project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// A call of the host in the project's folder.
    pub fn host(&self) -> Host {
        Host::new(&self.host, &self.project.root(), &self.project.home())
            .variable("TODOHOST_PLUGINS", &self.core)
            .variable("NO_COLOR", "1")
    }

    /// Consents to all requests of the component, like its user.
    pub fn allow(&self) -> Finished {
        self.host().args(["plugin", "allow"]).args([&self.component]).run()
    }

    /// Runs the project's checks with `args` after the command, e.g. `--set` and a value.
    pub fn check(&self, args: &[&str]) -> Outcome {
        let finished = self
            .host()
            .variable("SHOP_DATABASE", "postgresql://shop:pass@database.example/shop")
            .args(["check", "--output", "json"])
            .args(["--secret", "secrets.databaseUrl=env:SHOP_DATABASE"])
            .args(args)
            .run();
        let findings = finished.events_of("finding");
        Outcome { finished, findings }
    }
}

//! The plan of a run: arguments and project as a graph of steps, before any of it is carried out.
//!
//! Owns the Plan, its step graph and its printed form. It asks no component and no cluster, so the same
//! arguments and files give the same Plan (invariant I9). `run` executes it.

mod graph;
mod print;

use std::collections::BTreeMap;

use miette::Diagnostic;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use todohost_model::digest::Hasher;
use todohost_project::{Check, Image, Project, ProjectError};
use todohost_runtime::plugin::{PluginError, PluginInfo, Registry, Role};

pub use graph::{Action, Step, StepId};
pub use print::print;

/// The goal of a run, named by the subcommand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Build, render, apply and verify.
    Deploy,
    /// Build the images.
    Build,
    /// Render the objects and show them.
    Render,
    /// Apply the objects, with images that exist already.
    Apply,
    /// Verify the running app.
    Verify,
    /// Show the changes of a deploy.
    Diff,
    /// Write the changes of a deploy to a plan file.
    Plan,
    /// Carry out a plan file.
    DeployPlan,
    /// Verify the running app and run the chart's tests.
    Test,
    /// Run all checks that change nothing.
    Check,
    /// Check that target, cluster and database are ready for a deploy.
    Doctor,
    /// Deploy an older revision as a new one.
    Rollback {
        /// Its number. Without one, the last good revision before the current one.
        revision: Option<u32>,
    },
    /// Delete the release.
    Delete(Deletion),
}

/// Options of a deletion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Deletion {
    /// Keep the revisions, for `history` and `rollback`.
    pub keep_history: bool,
    /// Delete the namespace as well, if it was created for the release and is empty.
    pub with_namespace: bool,
}

impl Goal {
    /// Runs with this goal may make a revision or delete the release.
    pub const fn changes_release(self) -> bool {
        matches!(
            self,
            Self::Deploy | Self::DeployPlan | Self::Apply | Self::Rollback { .. } | Self::Delete(_)
        )
    }

    /// Its runs render the chart for a cluster.
    pub const fn renders(self) -> bool {
        matches!(
            self,
            Self::Deploy
                | Self::Render
                | Self::Apply
                | Self::Diff
                | Self::Plan
                | Self::Check
                | Self::Doctor
        )
    }

    /// The subcommand.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deploy | Self::DeployPlan => "deploy",
            Self::Build => "build",
            Self::Render => "render",
            Self::Apply => "apply",
            Self::Verify => "verify",
            Self::Diff => "diff",
            Self::Plan => "plan",
            Self::Test => "verify --tests",
            Self::Check => "check",
            Self::Doctor => "doctor",
            Self::Rollback { .. } => "rollback",
            Self::Delete(_) => "delete",
        }
    }
}

/// The checks that `doctor` runs: with the project's options, or else without options.
const DOCTOR: [&str; 2] = ["preflight", "database"];

/// All that a run will do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    pub goal: Goal,
    /// Name of the app and its release.
    pub app: String,
    pub namespace: String,
    /// One step graph per target; they share nothing and may run at the same time.
    pub targets: Vec<TargetPlan>,
}

/// The steps of a run for one target.
#[derive(Clone, Debug, Serialize)]
pub struct TargetPlan {
    /// The target's name; `None` for a run that touches no cluster.
    pub target: Option<String>,
    /// The steps, every one after those that it needs.
    pub steps: Vec<Step>,
}

/// A component with its options, as a step uses it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chosen {
    pub id: String,
    pub version: String,
    /// SHA-256 of its file.
    pub digest: String,
    pub options: Value,
    /// Its entry in the registry.
    #[serde(skip)]
    pub info: PluginInfo,
}

impl Chosen {
    /// A component with options.
    pub fn new(info: PluginInfo, options: Value) -> Self {
        Self {
            id: info.id.clone(),
            version: info.version.to_string(),
            digest: info.digest.clone(),
            options,
            info,
        }
    }
}

/// Why planning failed.
#[derive(Debug, Error, Diagnostic)]
pub enum PlanError {
    /// A component is missing, or cannot take its step.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Plugin(#[from] PluginError),
    /// The project file gives a component options that it does not take.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Project(#[from] ProjectError),
}

/// Asks the registry which component takes each step.
pub struct Planner<'a> {
    pub project: &'a Project,
    /// The components that there are.
    pub registry: &'a Registry,
}

impl Planner<'_> {
    /// The plan for a goal and the named targets; without a name, one without a cluster.
    ///
    /// # Errors
    /// If a component is missing or cannot take its step.
    pub fn plan(&self, goal: Goal, targets: &[String]) -> Result<Plan, PlanError> {
        let names = if targets.is_empty() {
            vec![None]
        } else {
            targets.iter().map(|name| Some(name.as_str())).collect()
        };
        Ok(Plan {
            goal,
            app: self.project.file.app.name.clone(),
            namespace: self.project.file.app.namespace.clone(),
            targets: names
                .into_iter()
                .map(|name| self.target_plan(goal, name))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The component behind a target's name.
    ///
    /// # Errors
    /// If it does not exist, is not a target, or refuses its options.
    pub fn target(&self, name: &str) -> Result<Chosen, PlanError> {
        let told = self.project.file.targets.get(name);
        let plugin = told.and_then(|target| target.plugin.as_deref()).unwrap_or(name);
        let info = self.registry.resolve(plugin).map_err(|error| match error {
            // Of all plugins only targets are of use here.
            PluginError::Unknown { name, .. } => {
                let plugins = self.registry.list().into_iter();
                let plugins = plugins.filter(|info| info.roles.contains(&Role::Target));
                let mut known: Vec<String> = plugins.map(|info| info.id).collect();
                known.extend(self.project.file.targets.keys().cloned());
                known.sort();
                known.dedup();
                PluginError::Unknown { name, known }
            }
            error => error,
        })?;
        let options = told.map(|target| &target.options);
        self.chosen(info, Role::Target, options, &["targets", name, "options"])
    }

    /// The component that takes a step.
    ///
    /// # Errors
    /// If none or several can take it, the named one cannot, or it refuses its options.
    pub fn step_plugin(&self, role: Role) -> Result<Chosen, PlanError> {
        let plugins = &self.project.file.plugins;
        let told = match role {
            Role::Build => &plugins.build,
            Role::Render => &plugins.render,
            Role::Apply => &plugins.apply,
            Role::Verify => &plugins.verify,
            Role::Target | Role::Check => &None,
        };
        let info = match told.as_ref().and_then(|told| told.plugin.as_ref()) {
            Some(name) => self.registry.resolve(name)?,
            None => self.registry.sole(role)?,
        };
        let options = told.as_ref().map(|told| &told.options);
        self.chosen(info, role, options, &["plugins", role.interface(), "options"])
    }

    /// The component of a check of the project.
    fn check_plugin(&self, name: &str, check: &Check) -> Result<Chosen, PlanError> {
        let info = self.registry.resolve(&check.plugin)?;
        self.chosen(info, Role::Check, Some(&check.options), &["checks", name, "options"])
    }

    /// The checks that a goal makes, by name: the project's own, but for the doctor's.
    fn checks(&self, goal: Goal) -> Result<Vec<(String, Chosen)>, PlanError> {
        let told = &self.project.file.checks;
        let mut checks = Vec::new();
        for (name, check) in told {
            if goal != Goal::Doctor || DOCTOR.contains(&check.plugin.as_str()) {
                checks.push((name.clone(), self.check_plugin(name, check)?));
            }
        }
        let is_told = |plugin: &&str| told.values().any(|check| check.plugin == *plugin);
        for plugin in DOCTOR.iter().filter(|plugin| goal == Goal::Doctor && !is_told(plugin)) {
            let info = self.registry.resolve(plugin)?;
            let chosen = self.chosen(info, Role::Check, None, &["checks", plugin, "options"])?;
            checks.push(((*plugin).to_owned(), chosen));
        }
        Ok(checks)
    }

    /// A component with its options; `key` is their path in the project file.
    fn chosen(
        &self,
        info: PluginInfo,
        role: Role,
        options: Option<&Value>,
        key: &[&str],
    ) -> Result<Chosen, PlanError> {
        if !info.roles.contains(&role) {
            let roles = info.roles.into_iter().collect();
            return Err(PluginError::NoSuchRole { plugin: info.id, role, roles }.into());
        }
        let options = options.cloned().unwrap_or_else(empty);
        if let Err(mistakes) = info.manifest.validate_options(&options) {
            return Err(self.project.refuse_options(key, &info.id, &mistakes).into());
        }
        Ok(Chosen::new(info, options))
    }

    fn target_plan(&self, goal: Goal, name: Option<&str>) -> Result<TargetPlan, PlanError> {
        let mut steps = Vec::new();
        let app = &self.project.file.app;
        let builds = matches!(goal, Goal::Deploy | Goal::Build | Goal::Plan);
        let renders = goal.renders();
        let applies =
            matches!(goal, Goal::Deploy | Goal::Apply | Goal::DeployPlan | Goal::Rollback { .. });
        let has_checks =
            matches!(goal, Goal::Deploy | Goal::Apply | Goal::Plan | Goal::Check | Goal::Doctor);
        let checks = if has_checks { self.checks(goal)? } else { Vec::new() };
        let mut add =
            |action: Action, title: String, plugin: Option<Chosen>, needs: Vec<StepId>| {
                let step = Step::new(action, title, plugin, needs);
                let id = step.id.clone();
                steps.push(step);
                id
            };

        let mut reached = Vec::new();
        if let Some(name) = name {
            let target = self.target(name)?;
            let (action, title) = match goal {
                Goal::Doctor => (Action::Doctor, format!("examine {name}")),
                _ => (Action::Connect, format!("connect to {name}")),
            };
            reached.push(add(action, title, Some(target), vec![]));
        }
        let mut checked = Vec::new();
        for (name, plugin) in &checks {
            let action = Action::CheckInputs { check: name.clone() };
            let title = format!("check {name}");
            checked.push(add(action, title, Some(plugin.clone()), reached.clone()));
        }
        let mut tagged = Vec::new();
        let mut built = Vec::new();
        if builds || renders {
            for (name, image) in &self.project.file.images {
                let plugin = self.step_plugin(Role::Build)?;
                let action = Action::Inputs { image: name.clone(), spec: image.clone() };
                let title = format!("read {name}");
                let inputs = add(action, title, Some(plugin.clone()), vec![]);
                if builds {
                    let action = Action::Build { image: name.clone(), spec: image.clone() };
                    let needs = [vec![inputs.clone()], reached.clone()].concat();
                    built.push(add(action, format!("build {name}"), Some(plugin), needs));
                }
                tagged.push(inputs);
            }
        }
        let mut rendered = Vec::new();
        if renders {
            let plugin = self.step_plugin(Role::Render)?;
            let needs = [reached.clone(), tagged].concat();
            rendered.push(add(
                Action::Render,
                format!("render {}", app.chart),
                Some(plugin),
                needs,
            ));
        }
        for (name, plugin) in checks {
            let title = format!("check {name} on the objects");
            let action = Action::CheckRendered { check: name };
            checked.push(add(action, title, Some(plugin), rendered.clone()));
        }
        if goal == Goal::DeployPlan
            && let Some(name) = name
        {
            let target = self.target(name)?;
            let title = "compare the plan with the cluster".to_owned();
            rendered.push(add(Action::CheckDrift, title, Some(target), reached.clone()));
        }
        if let Goal::Rollback { revision } = goal {
            // This step calls no component: it reads the host's own records.
            let title = match revision {
                Some(revision) => format!("load revision {revision}"),
                None => "load the previous revision".to_owned(),
            };
            let apply = self.step_plugin(Role::Apply)?;
            let needs = reached.clone();
            rendered.push(add(Action::LoadRevision { revision }, title, Some(apply), needs));
        }
        let mut last = reached;
        if applies && let Some(name) = name {
            let target = self.target(name)?;
            let needs = [built.clone(), rendered.clone()].concat();
            let action = Action::Deliver { must_exist: goal == Goal::Apply };
            let title = format!("deliver images to {name}");
            let delivered = add(action, title, Some(target), needs);
            let apply = self.step_plugin(Role::Apply)?;
            let needs = [vec![delivered], rendered.clone(), checked.clone()].concat();
            let title = format!("apply to namespace {}", app.namespace);
            last = vec![add(Action::Apply, title, Some(apply), needs)];
        }
        if goal == Goal::Plan {
            let apply = self.step_plugin(Role::Apply)?;
            let title = format!("plan the changes to namespace {}", app.namespace);
            let needs = [built.clone(), rendered.clone(), checked].concat();
            add(Action::SavePlan, title, Some(apply), needs);
        }
        if goal == Goal::Diff {
            let apply = self.step_plugin(Role::Apply)?;
            let title = format!("compare with namespace {}", app.namespace);
            add(Action::Diff, title, Some(apply), rendered);
        }
        if let Goal::Delete(deletion) = goal {
            let apply = self.step_plugin(Role::Apply)?;
            let title = format!("delete {} from namespace {}", app.name, app.namespace);
            last = vec![add(Action::Delete { deletion }, title, Some(apply), last)];
        }
        if (applies || matches!(goal, Goal::Verify | Goal::Test)) && name.is_some() {
            let verify = self.step_plugin(Role::Verify)?;
            let title = format!("verify {}", app.name);
            last = vec![add(Action::Verify, title, Some(verify), last)];
            for (name, check) in &self.project.file.checks {
                let plugin = self.check_plugin(name, check)?;
                let action = Action::CheckLive { check: name.clone() };
                let title = format!("check {name} on the running app");
                add(action, title, Some(plugin), last.clone());
            }
        }
        if goal == Goal::Test {
            let verify = self.step_plugin(Role::Verify)?;
            add(Action::Test, format!("test {}", app.name), Some(verify), last);
        }
        Ok(TargetPlan { target: name.map(str::to_owned), steps })
    }
}

/// No options.
pub(crate) fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Digest of an image's entry in the project file.
pub(crate) fn image_digest(name: &str, image: &Image) -> Hasher {
    let arguments: BTreeMap<_, _> = image.arguments.iter().collect();
    let mut hasher = Hasher::new().part(name).part(&image.context).part(&image.dockerfile);
    hasher.add(image.stage.as_deref().unwrap_or_default());
    hasher.add(image.platform.as_deref().unwrap_or_default());
    for (key, value) in arguments {
        hasher.add(key);
        hasher.add(value);
    }
    hasher
}

//! The command line: parses arguments and hands them to the rest of the program.
//!
//! Owns the arguments and the order parse → Plan → run → exit code. One file per family of subcommands;
//! clap stays here.

mod arguments;
mod delete;
mod deploy;
mod doctor;
mod forward;
mod history;
mod plugin;
mod rollback;
mod signals;
mod status;
mod target;

use std::sync::{Arc, Mutex, PoisonError};

use clap::Parser;
use tokio_util::sync::CancellationToken;

use self::deploy::DeployParams;
use crate::ui::{self, Detail, Questions, Style};
use arguments::{
    Arguments, Command, Common, DeployOptions, OutputFormat, PlanOptions, PluginCommand, SchemaOf,
    TargetCommand,
};
use todohost_engine::plan::Goal;
use todohost_engine::{Consent, Ended, Outcome, Run, RunError};
use todohost_model::environment::Environment;
use todohost_model::event::{Bus, Event, EventKind, Failure, Level, TargetEnd};
use todohost_model::exit::Exit;
use todohost_project::values::{Prompt, ValueArgument, Values};
use todohost_project::{Project, ProjectFile};
use todohost_release::OwnershipPolicy;
use todohost_runtime::plugin::{Registry, RegistryOptions, Runtime, RuntimeOptions};

// Id and SHA-256 of the core plugins that were built with this program: `CORE_PLUGINS`, written by `build.rs`.
include!(concat!(env!("OUT_DIR"), "/core_plugins.rs"));

/// Runs the program. Returns its exit code.
pub fn main() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers, not errors.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Success };
            let _ = error.print();
            return exit;
        }
    };
    if let Command::Schema { of } = arguments.command {
        return print_schema(of);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            ui::line(&format!("error: the asynchronous runtime does not start: {error}"));
            return Exit::Internal;
        }
    };
    let exit = runtime.block_on(dispatch(arguments));
    // A component that still compiles in the background is not waited for.
    runtime.shutdown_background();
    exit
}

async fn dispatch(arguments: Arguments) -> Exit {
    let environment = Environment::read();
    let common = &arguments.common;
    let style = ui::pick_style(common.output == OutputFormat::Json, environment.is_plain());
    let is_document = common.output == OutputFormat::Json && arguments.command.answers();
    let detail = match (common.quiet || is_document, common.verbose) {
        (true, _) => Detail::Quiet,
        (false, true) => Detail::Verbose,
        (false, false) => Detail::Normal,
    };
    let (bus, events) = Bus::new();
    let (screen, questions) = ui::show(style, detail, events);
    let cancel = CancellationToken::new();
    let cli =
        Cli { environment, bus, questions, cancel: cancel.clone(), style, ended: Mutex::default() };
    let result = tokio::select! {
        result = cli.command(&arguments) => result,
        () = signals::second_stop(&cli.bus, &cancel) => {
            Err(RunError::Cancelled { left: "stopped without rolling back: deploy again to clean up".to_owned() })
        }
    };
    let exit = result.as_ref().map_or_else(RunError::exit, |exit| *exit);
    if let Err(error) = &result {
        cli.emit_failure(error, exit);
    }
    let colours = style == Style::Human;
    drop(cli);
    // Everything is shown before the error, which is the last word.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), screen).await;
    if let Err(error) = result
        && style != Style::Json
    {
        ui::line(&error_text(&error, colours));
    }
    exit
}

fn error_text(error: &RunError, colours: bool) -> String {
    ui::render_failure(&error.failure(), error, colours)
}

fn print_schema(of: SchemaOf) -> Exit {
    let schema = match of {
        SchemaOf::Project => ProjectFile::json_schema(),
        SchemaOf::Events => Event::json_schema(),
    };
    let schema = serde_json::to_string_pretty(&schema).unwrap_or_default();
    if ui::data(&schema).is_ok() { Exit::Success } else { Exit::Internal }
}

/// The state that all subcommands share.
struct Cli {
    environment: Environment,
    bus: Bus,
    questions: Questions,
    cancel: CancellationToken,
    style: Style,
    /// How the run ended on each target, once it did.
    ended: Mutex<Vec<TargetEnd>>,
}

impl Cli {
    async fn command(&self, arguments: &Arguments) -> Result<Exit, RunError> {
        let common = &arguments.common;
        match &arguments.command {
            Command::Deploy(DeployOptions { plan: Some(file), change }) => {
                return self.deploy_plan_file(common, file, change).await;
            }
            Command::Plan(PlanOptions { file, run, .. }) => {
                let params =
                    DeployParams { plan_file: Some(file.clone()), ..DeployParams::default() };
                return self.run(Goal::Plan, common, run, params).await;
            }
            Command::Deploy(DeployOptions { change, plan: None }) | Command::Apply(change) => {
                let params = DeployParams {
                    after_failure: change.after_failure(),
                    lock_timeout: change.lock.timeout(),
                    ..DeployParams::default()
                };
                let goal = arguments.command.goal();
                return self.run(goal, common, &change.run, params).await;
            }
            Command::Build(options)
            | Command::Render(options)
            | Command::Diff(options)
            | Command::Check(options) => {
                let goal = arguments.command.goal();
                return self.run(goal, common, options, DeployParams::default()).await;
            }
            Command::Verify(options) => {
                let goal = arguments.command.goal();
                return self.run(goal, common, &options.run, DeployParams::default()).await;
            }
            Command::Doctor(options) => return self.doctor(common, options).await,
            Command::Status(options) => Box::pin(self.status(common, options)).await?,
            Command::History(options) => Box::pin(self.history(common, options)).await?,
            Command::Forward(options) => Box::pin(self.forward(common, options)).await?,
            Command::Rollback(options) => return self.rollback(common, options).await,
            Command::Delete(options) => return self.delete(common, options).await,
            Command::Plugin { command } => match command {
                PluginCommand::List => self.plugin_list(common)?,
                PluginCommand::Inspect { plugin } => self.plugin_inspect(common, plugin)?,
                PluginCommand::Allow { plugin } => self.plugin_allow(common, plugin)?,
            },
            Command::Target { command } => match command {
                TargetCommand::List { local } => self.target_list(common, *local).await?,
                TargetCommand::Delete { target, yes } => {
                    self.target_delete(common, target, *yes).await?;
                }
            },
            Command::Schema { .. } => {}
        }
        Ok(Exit::Success)
    }

    /// Sends the first event of a run, and opens the project and its plugins.
    fn begin(
        &self,
        goal: Goal,
        common: &Common,
        values: &[ValueArgument],
        takeover: OwnershipPolicy,
    ) -> Result<Run, RunError> {
        self.bus.send(EventKind::RunStarted { command: goal.name().to_owned() });
        self.open(common, values, takeover)
    }

    /// The project, the components and everything else that a run needs.
    fn open(
        &self,
        common: &Common,
        values: &[ValueArgument],
        takeover: OwnershipPolicy,
    ) -> Result<Run, RunError> {
        let directory = current_directory()?;
        let project = Project::open(common.project.as_deref(), &directory)?;
        let values =
            Values::gather(&project, values, &directory, &SecretSource(&self.environment))?;
        let registry = self.registry(&project.root)?;
        let takeover = OwnershipPolicy { ignore: project.file.apply.ignored(), ..takeover };
        Ok(Run { values, takeover, ..self.new_run(project, registry)? })
    }

    /// A run with the default options.
    fn new_run(&self, project: Project, registry: Registry) -> Result<Run, RunError> {
        let (runtime, environment) = (self.runtime()?, self.environment.clone());
        let (bus, cancel) = (self.bus.clone(), self.cancel.clone());
        Ok(Run::new(project, environment, registry, runtime, bus, cancel))
    }

    /// Whether targets may start their cluster: `--yes` agrees, otherwise the user is asked.
    fn consent(&self, yes: bool) -> Consent {
        if yes { Consent::Given } else { Consent::Asked(Arc::new(self.questions.clone())) }
    }

    fn registry(&self, root: &std::path::Path) -> Result<Registry, RunError> {
        let registry = Registry::open(RegistryOptions {
            core: CORE_PLUGINS,
            core_dir: self.environment.core_plugins_dir(),
            project_root: root.to_owned(),
            cache_dir: self.environment.cache_dir(),
        })?;
        for skipped in registry.skipped() {
            let message = format!("a core plugin is left out: {}", skipped.reason);
            self.bus.send(EventKind::Note { level: Level::Warn, message });
        }
        Ok(registry)
    }

    fn runtime(&self) -> Result<Runtime, RunError> {
        Ok(Runtime::new(&RuntimeOptions {
            cache_dir: self.environment.cache_dir(),
            config_dir: self.environment.config_dir(),
            memory: None,
        })?)
    }

    /// Collects the outcomes of all targets.
    ///
    /// # Errors
    /// The first failure.
    fn collect(&self, goal: Goal, ended: Vec<Ended>) -> Result<Vec<Outcome>, RunError> {
        let told = ended.iter().filter_map(|ended| ended.target_end(goal)).collect();
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = told;
        ended.into_iter().map(|ended| ended.result).collect()
    }

    fn targets_ended(&self) -> Vec<TargetEnd> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn emit_finished(
        &self,
        exit: Exit,
        summary: String,
        revision: Option<u32>,
        addresses: Vec<String>,
    ) {
        self.bus.send(EventKind::RunFinished {
            exit_code: exit.code(),
            summary,
            revision,
            addresses,
            targets: self.targets_ended(),
            error: None,
        });
    }

    /// Machines get the error as an event; people get it as text, once the screen is done. How each of several targets
    /// ended is shown to both.
    fn emit_failure(&self, error: &RunError, exit: Exit) {
        let targets = self.targets_ended();
        if self.style != Style::Json && targets.len() < 2 {
            return;
        }
        let error: Failure = error.failure();
        self.bus.send(EventKind::RunFinished {
            exit_code: exit.code(),
            summary: error.message.clone(),
            revision: None,
            addresses: Vec::new(),
            targets,
            error: Some(error),
        });
    }

    /// Prints data, as JSON with `--output json`.
    fn show<T: serde::Serialize>(
        &self,
        common: &Common,
        value: &T,
        text: &str,
    ) -> Result<(), RunError> {
        let shown = if common.output == OutputFormat::Json {
            serde_json::to_string(value).map_err(|error| RunError::internal(error.to_string()))?
        } else {
            text.to_owned()
        };
        // A reader that closes the pipe early is not an error.
        let _ = ui::data(&shown);
        Ok(())
    }
}

fn current_directory() -> Result<std::path::PathBuf, RunError> {
    std::env::current_dir().map_err(|source| RunError::CurrentDirectory { source })
}

/// The sources of `--secret`.
struct SecretSource<'a>(&'a Environment);

impl Prompt for SecretSource<'_> {
    fn ask(&self, question: &str) -> Option<String> {
        ui::ask_secret(question)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.0.variables().get(name).cloned()
    }
}

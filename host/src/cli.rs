//! The command line: what can be typed, and handing it to the rest of the program.
//!
//! Owns the arguments and the order parse → Plan → run → exit code. One file per family of subcommands;
//! clap stays here.

mod arguments;
mod deploy;
mod plugin;
mod signals;
mod status;
mod target;

use clap::Parser;
use tokio_util::sync::CancellationToken;

use crate::environment::Environment;
use crate::event::{Bus, EventKind, Failure};
use crate::exit::Exit;
use crate::plugin::{Registry, RegistryOptions, Runtime, RuntimeOptions};
use crate::project::{Project, ProjectFile};
use crate::run::{AfterFailure, Run, RunError, time_now};
use crate::ui::{self, Detail, Style};
use crate::values::{Prompt, ValueArgument, Values};
use arguments::{Arguments, Command, Common, OutputFormat, PluginCommand, TargetCommand};

/// Runs the program; gives its exit code.
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
    if let Command::Schema = arguments.command {
        return print_schema();
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
    let detail = match (common.quiet, common.verbose) {
        (true, _) => Detail::Quiet,
        (false, true) => Detail::Verbose,
        (false, false) => Detail::Normal,
    };
    let (bus, events) = Bus::new();
    let screen = ui::show(style, detail, events);
    let cancel = CancellationToken::new();
    let session = Cli { environment, bus, cancel: cancel.clone(), style };
    let result = tokio::select! {
        result = session.command(&arguments) => result,
        () = signals::second_stop(&session.bus, &cancel) => {
            Err(RunError::Cancelled { left: "it was stopped at once: run the deploy again to tidy up".to_owned() })
        }
    };
    let exit = result.as_ref().map_or_else(RunError::exit, |()| Exit::Success);
    if let Err(error) = &result {
        session.tell_failure(error, exit);
    }
    let colours = style == Style::Human;
    drop(session);
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

fn print_schema() -> Exit {
    let schema = serde_json::to_string_pretty(&ProjectFile::json_schema()).unwrap_or_default();
    if ui::data(&schema).is_ok() { Exit::Success } else { Exit::Internal }
}

/// What every subcommand has.
struct Cli {
    environment: Environment,
    bus: Bus,
    cancel: CancellationToken,
    style: Style,
}

impl Cli {
    async fn command(&self, arguments: &Arguments) -> Result<(), RunError> {
        let common = &arguments.common;
        match &arguments.command {
            Command::Deploy(options) | Command::Apply(options) => {
                let after = options.after_failure();
                self.carry_out(arguments.command.goal(), common, &options.run, after).await
            }
            Command::Build(options)
            | Command::Render(options)
            | Command::Verify(options)
            | Command::Check(options) => {
                let after = AfterFailure::default();
                self.carry_out(arguments.command.goal(), common, options, after).await
            }
            Command::Status(options) => self.status(common, options).await,
            Command::Plugin { command } => match command {
                PluginCommand::List => self.plugin_list(common),
                PluginCommand::Inspect { plugin } => self.plugin_inspect(common, plugin),
                PluginCommand::Allow { plugin } => self.plugin_allow(common, plugin),
            },
            Command::Target { command: TargetCommand::List { local } } => {
                self.target_list(common, *local).await
            }
            Command::Schema => Ok(()),
        }
    }

    /// The project, the components and everything else that a run needs.
    fn open(
        &self,
        common: &Common,
        values: &[ValueArgument],
        force: bool,
    ) -> Result<Run, RunError> {
        let directory = current_directory()?;
        let project = Project::open(common.project.as_deref(), &directory)?;
        let values =
            Values::gather(&project, values, &directory, &Surroundings(&self.environment))?;
        let registry = self.registry(&project.root)?;
        Ok(Run {
            project,
            values,
            environment: self.environment.clone(),
            registry,
            runtime: self.runtime()?,
            bus: self.bus.clone(),
            cancel: self.cancel.clone(),
            force,
            after_failure: AfterFailure::default(),
            now: time_now(),
        })
    }

    fn registry(&self, root: &std::path::Path) -> Result<Registry, RunError> {
        Ok(Registry::open(RegistryOptions {
            core_dir: self.environment.core_plugins_dir(),
            project_root: root.to_owned(),
            cache_dir: self.environment.cache_dir(),
        })?)
    }

    fn runtime(&self) -> Result<Runtime, RunError> {
        Ok(Runtime::new(&RuntimeOptions {
            cache_dir: self.environment.cache_dir(),
            config_dir: self.environment.config_dir(),
            memory: None,
        })?)
    }

    fn finish(&self, summary: String, revision: Option<u32>, addresses: Vec<String>) {
        self.bus.send(EventKind::RunFinished {
            exit_code: 0,
            summary,
            revision,
            addresses,
            error: None,
        });
    }

    /// Machines get the error as an event; people get it as text, once the screen is done.
    fn tell_failure(&self, error: &RunError, exit: Exit) {
        if self.style != Style::Json {
            return;
        }
        let error: Failure = error.failure();
        self.bus.send(EventKind::RunFinished {
            exit_code: exit.code(),
            summary: error.message.clone(),
            revision: None,
            addresses: Vec::new(),
            error: Some(error),
        });
    }

    /// Shows data: as JSON where that was asked for.
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
        // A reader that has seen enough is no error.
        let _ = ui::data(&shown);
        Ok(())
    }
}

fn current_directory() -> Result<std::path::PathBuf, RunError> {
    std::env::current_dir()
        .map_err(|error| RunError::internal(format!("there is no current directory: {error}")))
}

/// Where `--secret` gets values from.
struct Surroundings<'a>(&'a Environment);

impl Prompt for Surroundings<'_> {
    fn ask(&self, question: &str) -> Option<String> {
        ui::ask_secret(question)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.0.variables().get(name).cloned()
    }
}

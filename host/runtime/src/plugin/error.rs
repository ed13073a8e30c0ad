//! What can go wrong with a component, and whose fault it is.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use miette::Diagnostic;
use thiserror::Error;

use super::manifest::ManifestError;
use super::{Role, wit};
use crate::grant::GrantError;
use todohost_model::event::Failure;
use todohost_model::exit::Exit;

/// What went wrong with a component.
#[derive(Debug, Error, Diagnostic)]
pub enum PluginError {
    /// No plugin has this id.
    #[error("there is no plugin `{name}`")]
    #[diagnostic(
        code(todohost::plugin::unknown),
        help("{}", if known.is_empty() { "no core plugins were found beside the program: set TODOHOST_PLUGINS to their directory".to_owned() } else { format!("there are: {}; a plugin of your own is named by its path, e.g. plugins/{name}.wasm", known.join(", ")) })
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// Ids that there are.
        known: Vec<String>,
    },
    /// No or several core plugins have this role.
    #[error("{} for {role}", if found.is_empty() { "there is no plugin".to_owned() } else { format!("there are several plugins ({})", found.join(", ")) })]
    #[diagnostic(code(todohost::plugin::not_sole), help("{}", one_for(*role, found, skipped)))]
    NotSole {
        /// The role.
        role: Role,
        /// Ids of those that have it.
        found: Vec<String>,
        /// What is wrong with files among the core plugins that are none.
        skipped: Vec<String>,
    },
    /// The plugin cannot take this step.
    #[error("plugin `{plugin}` does not export `{role}`; it exports {}", list(roles))]
    #[diagnostic(
        code(todohost::plugin::role),
        help("name another plugin for this step in todohost.toml")
    )]
    NoSuchRole {
        /// Plugin id.
        plugin: String,
        /// What was asked of it.
        role: Role,
        /// What it can.
        roles: Vec<Role>,
    },
    /// The file cannot be read.
    #[error("a plugin cannot be read: {source}")]
    #[diagnostic(code(todohost::plugin::unreadable), help("check the path in todohost.toml"))]
    Unreadable {
        /// Which file and why.
        source: std::io::Error,
    },
    /// The file is not a component.
    #[error("{} is not a plugin: {reason}", path.display())]
    #[diagnostic(
        code(todohost::plugin::not_a_component),
        help("a plugin is a WebAssembly component; build it as the plugin guide says")
    )]
    NotAComponent {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It was built for another version of the contract.
    #[error(
        "{} was built for todohost:plugin {found}, and this host speaks {}",
        path.display(), wit::API_VERSION
    )]
    #[diagnostic(
        code(todohost::plugin::api_version),
        help("build the plugin again with the SDK of this version of todohost")
    )]
    ApiVersion {
        /// Which file.
        path: PathBuf,
        /// The version that it wants.
        found: String,
    },
    /// It imports what no host gives.
    #[error("{} imports `{import}`, which is not a part of todohost:plugin {}", path.display(), wit::API_VERSION)]
    #[diagnostic(code(todohost::plugin::import))]
    Import {
        /// Which file.
        path: PathBuf,
        /// What it imports.
        import: String,
    },
    /// Its manifest cannot be used.
    #[error("{} is not usable as a plugin: {source}", path.display())]
    #[diagnostic(code(todohost::plugin::manifest))]
    Manifest {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[diagnostic_source]
        source: ManifestError,
    },
    /// The file changed between being looked at and being loaded.
    #[error("{} changed while it was being loaded", path.display())]
    #[diagnostic(code(todohost::plugin::changed), help("run again"))]
    Changed {
        /// Which file.
        path: PathBuf,
    },
    /// It may not do what it wants to.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Grant(#[from] GrantError),
    /// The engine that runs components cannot start.
    #[error("the WebAssembly engine does not start: {reason}")]
    #[diagnostic(code(todohost::plugin::engine))]
    Engine {
        /// Why.
        reason: String,
    },
    /// It answered with an error of its own.
    #[error("{}", error.message)]
    #[diagnostic(code(todohost::plugin::answered))]
    Answered {
        /// Plugin id.
        plugin: String,
        /// The step.
        role: Role,
        /// The function, e.g. `target.detect`.
        export: String,
        /// What it said.
        error: Box<wit::Error>,
    },
    /// The user stopped the call.
    #[error("`{export}` of plugin `{plugin}` was stopped")]
    #[diagnostic(code(todohost::plugin::cancelled))]
    Cancelled {
        /// Plugin id.
        plugin: String,
        /// The function.
        export: String,
    },
    /// It misbehaved: never the user's fault.
    #[error("plugin `{plugin}` {version} misbehaved in `{export}`: {fault}")]
    #[diagnostic(
        code(todohost::plugin::misbehaved),
        help("this is a defect of the plugin: report it to its authors with the lines above")
    )]
    Misbehaved {
        /// Plugin id.
        plugin: String,
        /// Plugin version.
        version: String,
        /// The function.
        export: String,
        /// What it did.
        fault: Fault,
        /// What it left.
        last_words: Box<LastWords>,
    },
}

/// What a component that misbehaved left for those who look into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastWords {
    /// Where in the component, innermost first.
    pub backtrace: Vec<String>,
    /// The last lines of its log.
    pub log: Vec<String>,
}

/// How a component misbehaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It wanted more memory than it may have, and gave up.
    Memory {
        /// Bytes that it wanted in all.
        wanted: usize,
        /// Bytes that it may have.
        limit: usize,
    },
    /// It did not answer in time.
    Deadline {
        /// The time that it had.
        limit: Duration,
    },
    /// It panicked or broke a rule of WebAssembly.
    Trap {
        /// What the engine said.
        reason: String,
    },
    /// It could not be started.
    Start {
        /// What the engine said.
        reason: String,
    },
    /// The host's own part of a call failed.
    Host {
        /// What failed.
        reason: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: usize = 1024 * 1024;
        match self {
            Self::Memory { wanted, limit } => write!(
                formatter,
                "it wanted {} MiB of memory and may have {} MiB",
                wanted.div_ceil(MIB),
                limit / MIB
            ),
            Self::Deadline { limit } => write!(formatter, "it did not answer within {limit:?}"),
            Self::Trap { reason } => write!(formatter, "it crashed: {reason}"),
            Self::Start { reason } => write!(formatter, "it does not start: {reason}"),
            Self::Host { reason } => write!(formatter, "a host call broke: {reason}"),
        }
    }
}

impl PluginError {
    /// Exit code of a run that ends with it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unknown { .. } | Self::NotSole { .. } | Self::NoSuchRole { .. } => Exit::Usage,
            Self::Cancelled { .. } => Exit::Cancelled,
            Self::Answered { role, export, error, .. } => exit_of_answer(*role, export, error.kind),
            _ => Exit::Plugin,
        }
    }

    /// The error as machines read it, with what the component said in place of our own wrapping.
    pub fn failure(&self) -> Failure {
        if let Self::Answered { error, .. } = self {
            return Failure {
                code: error.code.clone(),
                message: error.message.clone(),
                causes: error.causes.clone(),
                help: error.help.clone(),
            };
        }
        let mut causes = Vec::new();
        if let Self::Misbehaved { last_words, .. } = self {
            causes.extend(last_words.log.iter().map(|line| format!("log: {line}")));
            causes.extend(last_words.backtrace.iter().map(|line| format!("at {line}")));
        }
        if let Self::Manifest { source, .. } = self {
            causes.push(source.to_string());
        }
        Failure {
            code: self.code().map(|code| code.to_string()).unwrap_or_default(),
            message: self.to_string(),
            causes,
            help: self.help().map(|help| help.to_string()),
        }
    }
}

/// What it means for the run that a step's component answered with an error.
fn exit_of_answer(role: Role, export: &str, kind: wit::ErrorKind) -> Exit {
    use wit::ErrorKind::{Cancelled, Denied, Internal, InvalidInput, Unavailable, Unsupported};
    let about_images = export.ends_with("-images");
    match (role, kind) {
        (_, Cancelled) => Exit::Cancelled,
        (_, Denied) => Exit::Plugin,
        (_, Internal) if role == Role::Check => Exit::Plugin,
        (Role::Build, Unavailable) => Exit::Tool,
        (Role::Target, Unavailable) if about_images => Exit::Tool,
        (Role::Target, _) if about_images => Exit::Image,
        (Role::Target, InvalidInput | Unsupported) => Exit::Usage,
        (Role::Target, _) => Exit::Unreachable,
        (Role::Build, _) => Exit::Build,
        (Role::Render, _) => Exit::Render,
        (Role::Apply, _) => Exit::Apply,
        (Role::Verify, _) => Exit::Verify,
        (Role::Check, _) => Exit::Check,
    }
}

/// How to come to the one plugin of a role.
fn one_for(role: Role, found: &[String], skipped: &[String]) -> String {
    if found.is_empty() && !skipped.is_empty() {
        return format!(
            "install todohost again; it may be what is broken here: {}",
            skipped.join("; ")
        );
    }
    format!("name one in todohost.toml: [plugins] {role} = \"...\"")
}

fn list(roles: &[Role]) -> String {
    if roles.is_empty() {
        return "no step".to_owned();
    }
    roles.iter().map(|role| format!("`{role}`")).collect::<Vec<_>>().join(", ")
}

//! Errors of components, and the exit code of each.

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

/// An error about a component.
#[derive(Debug, Error, Diagnostic)]
pub enum PluginError {
    /// No plugin has this id.
    #[error("unknown plugin `{name}`")]
    #[diagnostic(
        code(todohost::plugin::unknown),
        help("{}", if known.is_empty() { "found no core plugins beside the program: set TODOHOST_PLUGINS to their directory".to_owned() } else { format!("expected one of: {}; or the path of your own plugin, e.g. plugins/{name}.wasm", known.join(", ")) })
    )]
    Unknown {
        /// The unknown name.
        name: String,
        /// The ids of the core plugins.
        known: Vec<String>,
    },
    /// No or several core plugins have this role.
    #[error("{} for {role}", if found.is_empty() { "found no plugin".to_owned() } else { format!("found several plugins ({})", found.join(", ")) })]
    #[diagnostic(code(todohost::plugin::not_sole), help("{}", one_for(*role, found, skipped)))]
    NotSole {
        role: Role,
        /// Ids of the plugins with the role.
        found: Vec<String>,
        /// Reasons why files in the directory of the core plugins were skipped.
        skipped: Vec<String>,
    },
    /// The plugin does not export the role.
    #[error("plugin `{plugin}` does not export `{role}`; it exports {}", list(roles))]
    #[diagnostic(
        code(todohost::plugin::role),
        help("set another plugin for this step in todohost.toml")
    )]
    NoSuchRole {
        /// Plugin id.
        plugin: String,
        /// The requested role.
        role: Role,
        /// The exported roles.
        roles: Vec<Role>,
    },
    /// The file cannot be read.
    #[error("cannot read a plugin: {source}")]
    #[diagnostic(code(todohost::plugin::unreadable), help("check the path in todohost.toml"))]
    Unreadable {
        /// The error, with the file.
        source: std::io::Error,
    },
    /// The file is not a component.
    #[error("{} is not a plugin: {reason}", path.display())]
    #[diagnostic(
        code(todohost::plugin::not_a_component),
        help("a plugin is a WebAssembly component; build it as described in docs/plugins.md")
    )]
    NotAComponent {
        /// The file.
        path: PathBuf,
        reason: String,
    },
    /// The component was built for another version of the contract.
    #[error(
        "{} was built for todohost:plugin {found}, but this host supports {}",
        path.display(), wit::API_VERSION
    )]
    #[diagnostic(
        code(todohost::plugin::api_version),
        help("rebuild the plugin with the SDK of this version of todohost")
    )]
    ApiVersion {
        /// The file.
        path: PathBuf,
        /// The component's version of the contract.
        found: String,
    },
    /// The component imports an interface that is not in the contract.
    #[error("{} imports `{import}`, which is not part of todohost:plugin {}", path.display(), wit::API_VERSION)]
    #[diagnostic(code(todohost::plugin::import))]
    Import {
        /// The file.
        path: PathBuf,
        import: String,
    },
    /// The manifest is missing or invalid.
    #[error("cannot use {} as a plugin: {source}", path.display())]
    #[diagnostic(code(todohost::plugin::manifest))]
    Manifest {
        /// The file.
        path: PathBuf,
        /// The error in the manifest.
        #[diagnostic_source]
        source: ManifestError,
    },
    /// The file changed after its digest was read.
    #[error("{} changed while it was being loaded", path.display())]
    #[diagnostic(code(todohost::plugin::changed), help("run again"))]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The component lacks a grant.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Grant(#[from] GrantError),
    /// The WebAssembly engine cannot start.
    #[error("cannot start the WebAssembly engine: {reason}")]
    #[diagnostic(code(todohost::plugin::engine))]
    Engine {
        /// The engine's message.
        reason: String,
    },
    /// The component returned an error.
    #[error("{}", error.message)]
    #[diagnostic(code(todohost::plugin::answered))]
    Answered {
        /// Plugin id.
        plugin: String,
        /// The step.
        role: Role,
        /// The function, e.g. `target.detect`.
        export: String,
        /// The returned error.
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
    /// The component failed in a way that is a defect of the component.
    #[error("plugin `{plugin}` {version} misbehaved in `{export}`: {fault}")]
    #[diagnostic(
        code(todohost::plugin::misbehaved),
        help(
            "this is a defect of the plugin: report it to the plugin's authors, with the lines above"
        )
    )]
    Misbehaved {
        /// Plugin id.
        plugin: String,
        /// Plugin version.
        version: String,
        /// The function.
        export: String,
        /// The kind of failure.
        fault: PluginFault,
        /// Backtrace and log.
        crash: Box<CrashReport>,
    },
}

/// The crash report of a component, for its authors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrashReport {
    /// The frames in the component, innermost first.
    pub backtrace: Vec<String>,
    /// The last lines of its log and its standard error.
    pub log: Vec<String>,
}

/// The defect of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginFault {
    /// The component needed more memory than its limit.
    Memory {
        /// Bytes requested in total.
        wanted: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The component did not answer in time.
    Deadline {
        /// The deadline.
        limit: Duration,
    },
    /// The component panicked or trapped.
    Trap {
        /// The engine's message.
        reason: String,
    },
    /// The component could not be instantiated.
    Start {
        /// The engine's message.
        reason: String,
    },
    /// The host's part of a call failed.
    Host {
        /// The failure.
        reason: String,
    },
}

impl fmt::Display for PluginFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: usize = 1024 * 1024;
        match self {
            Self::Memory { wanted, limit } => write!(
                formatter,
                "it needs {} MiB of memory, more than its limit of {} MiB",
                wanted.div_ceil(MIB),
                limit / MIB
            ),
            Self::Deadline { limit } => write!(formatter, "it did not answer within {limit:?}"),
            Self::Trap { reason } => write!(formatter, "it crashed: {reason}"),
            Self::Start { reason } => write!(formatter, "it cannot start: {reason}"),
            Self::Host { reason } => write!(formatter, "a host call failed: {reason}"),
        }
    }
}

impl PluginError {
    /// Exit code of a run that ends with this error.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unknown { .. } | Self::NotSole { .. } | Self::NoSuchRole { .. } => Exit::Usage,
            Self::Cancelled { .. } => Exit::Cancelled,
            Self::Answered { role, export, error, .. } => exit_of_answer(*role, export, error.kind),
            _ => Exit::Plugin,
        }
    }

    /// The error as data. An error that the component returned keeps its own code and message.
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
        if let Self::Misbehaved { crash, .. } = self {
            causes.extend(crash.log.iter().map(|line| format!("log: {line}")));
            causes.extend(crash.backtrace.iter().map(|line| format!("at {line}")));
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

/// Exit code of a run in which a step's component returned an error.
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

/// The help for a role without exactly one core plugin.
fn one_for(role: Role, found: &[String], skipped: &[String]) -> String {
    if found.is_empty() && !skipped.is_empty() {
        return format!(
            "reinstall todohost; some of its plugins are broken: {}",
            skipped.join("; ")
        );
    }
    format!("set one in todohost.toml: [plugins] {role} = \"...\"")
}

fn list(roles: &[Role]) -> String {
    if roles.is_empty() {
        return "no step".to_owned();
    }
    roles.iter().map(|role| format!("`{role}`")).collect::<Vec<_>>().join(", ")
}

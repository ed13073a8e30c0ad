//! Why a run ends without success.

use miette::Diagnostic;
use thiserror::Error;

use super::connect::delete_cluster::DeleteClusterError;
use super::plan::PlanError;
use super::port_forward::ForwardError;
use todohost_cluster::ClusterError;
use todohost_model::event::Failure;
use todohost_model::exit::Exit;
use todohost_project::ProjectError;
use todohost_project::values::ValuesError;
use todohost_release::ReleaseError;
use todohost_runtime::grant::GrantError;
use todohost_runtime::plugin::PluginError;
use todohost_secrets::SecretError;

/// Why a run ends without success.
#[derive(Debug, Error, Diagnostic)]
pub enum RunError {
    /// The project file.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Project(#[from] ProjectError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Values(#[from] ValuesError),
    /// A component.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Plugin(#[from] PluginError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Grant(#[from] GrantError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Release(#[from] ReleaseError),
    /// The vault.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Secret(#[from] SecretError),
    /// A port-forward.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Forward(#[from] ForwardError),
    /// A cluster that cannot be deleted.
    #[error(transparent)]
    #[diagnostic(transparent)]
    DeleteCluster(#[from] DeleteClusterError),
    /// Checks failed; their findings were shown.
    #[error("check {check} failed{}: {first}{}", if *live { " on the running app" } else { "" }, more(*.count))]
    #[diagnostic(code(todohost::check::failed))]
    Checks {
        /// Name of the check.
        check: String,
        /// The first failure.
        first: String,
        /// Number of failures.
        count: usize,
        /// How to fix the first.
        #[help]
        help: Option<String>,
        /// The check judged the running app, so verifying failed.
        live: bool,
    },
    /// The chart puts a secret into a place other than a Secret.
    #[error("{first}{place}{}", more(*.count))]
    #[diagnostic(code(todohost::secret::chart))]
    SecretInChart {
        /// The first finding.
        first: String,
        /// The place in the chart, in brackets; empty if unknown.
        place: String,
        /// Number of findings.
        count: usize,
        /// How to fix the first.
        #[help]
        help: String,
    },
    /// Two renders of the same chart differ by more than secrets.
    #[error(
        "{plugin} rendered {chart} differently the second time, in ways that no secret explains"
    )]
    #[diagnostic(
        code(todohost::render::unstable),
        help(
            "do not let random or time functions (randAlphaNum, uuidv4, now) decide which objects are rendered"
        )
    )]
    Unstable {
        /// The renderer.
        plugin: String,
        chart: String,
    },
    /// No object uses an image of the project.
    #[error("no rendered object uses the image {reference}")]
    #[diagnostic(
        code(todohost::image::unreferenced),
        help(
            "set the values that name it in todohost.toml, e.g. [images.{name}] values = {{ \"image.repository\" = \"{{name}}\", \"image.tag\" = \"{{tag}}\" }}; the objects use: {named}"
        )
    )]
    Unreferenced {
        /// Name of the image.
        name: String,
        reference: String,
        /// The images that the objects use.
        named: String,
    },
    /// The nodes lack an image.
    #[error("target {target} has no image {reference}")]
    #[diagnostic(code(todohost::image::missing), help("{help}"))]
    ImageMissing {
        target: String,
        /// The image.
        reference: String,
        /// How to fix it.
        help: String,
    },
    /// A build context cannot be read.
    #[error("cannot read the inputs of image {image}")]
    #[diagnostic(
        code(todohost::image::inputs),
        help("check the context's path and permissions in todohost.toml")
    )]
    Inputs {
        image: String,
        /// Why.
        source: std::io::Error,
    },
    /// The chart cannot be read.
    #[error("cannot read {path}")]
    #[diagnostic(
        code(todohost::project::chart),
        help("app.chart in todohost.toml names a directory of the project")
    )]
    Chart {
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The app did not become healthy.
    #[error("{object} did not become ready: {reason}")]
    #[diagnostic(code(todohost::verify::not_ready))]
    NotReady {
        object: String,
        /// The reason, in one line.
        reason: String,
        /// The causes that were found.
        #[related]
        causes: Vec<Cause>,
        /// How to fix it.
        #[help]
        help: Option<String>,
    },
    /// A hook of the chart did not complete.
    #[error("{event} hook {object} failed: {reason}")]
    #[diagnostic(code(todohost::hook::failed))]
    Hook {
        /// The moment of the hook, e.g. `pre-upgrade`.
        event: &'static str,
        /// The hook's object.
        object: String,
        /// The reason, in one line.
        reason: String,
        /// The causes that were found.
        #[related]
        causes: Vec<Cause>,
        /// How to fix it.
        #[help]
        help: Option<String>,
    },
    /// The app runs but does not answer as it should.
    #[error("{title} does not answer as it should: {reason}")]
    #[diagnostic(
        code(todohost::verify::probe),
        help("read the app's log: kubectl logs, or todohost verify -v")
    )]
    Probe {
        /// The probe.
        title: String,
        /// The answer, or the error.
        reason: String,
    },
    /// A plan file cannot be used.
    #[error("plan {file} cannot be used: {reason}")]
    #[diagnostic(
        code(todohost::plan::file),
        help("make one: todohost plan -o FILE, with the same arguments as a deploy")
    )]
    PlanFile {
        file: String,
        /// Why.
        reason: String,
    },
    /// The cluster or the project drifted since the plan was made.
    #[error("the cluster or the project changed since this plan was made; nothing was applied")]
    #[diagnostic(
        code(todohost::plan::moved),
        help("make a new plan and review it: todohost plan -o FILE")
    )]
    PlanMoved {
        /// The differences.
        #[related]
        moved: Vec<Cause>,
    },
    /// The release is not deployed.
    #[error("release {release} is not deployed in namespace {namespace}")]
    #[diagnostic(
        code(todohost::release::absent),
        help("deploy it first: todohost deploy --target {target}")
    )]
    NotDeployed { release: String, namespace: String, target: String },
    /// The revision to roll back to does not exist.
    #[error("release {release} has no revision {wanted}")]
    #[diagnostic(
        code(todohost::release::no_such_revision),
        help("kept revisions: {known}; todohost history describes each")
    )]
    NoSuchRevision {
        release: String,
        /// The requested revision.
        wanted: String,
        /// The revisions that are kept.
        known: String,
    },
    /// A deletion needs consent, and there is no terminal to ask on.
    #[error("delete {what}: there is no terminal to ask on")]
    #[diagnostic(code(todohost::release::unconfirmed), help("confirm with --yes"))]
    Unconfirmed {
        /// The object of the deletion.
        what: String,
    },
    /// No target was named, and none can be selected.
    #[error("{message}")]
    #[diagnostic(code(todohost::target::not_named))]
    NoTarget {
        /// One line.
        message: String,
        /// The command to type.
        #[help]
        help: String,
    },
    /// The target is not running, and the user did not agree to start it.
    #[error("target {target} is not running{detail}")]
    #[diagnostic(
        code(todohost::target::not_started),
        help("it would {offer}, if you agree: todohost deploy --target {target} --yes")
    )]
    NotStarted {
        target: String,
        /// Its state, with a leading `: `.
        detail: String,
        /// The action that it offers.
        offer: String,
    },
    /// The run failed, and so did the rollback.
    #[error("{failed}; and {rollback}")]
    #[diagnostic(
        code(todohost::release::left_over),
        help("the cluster is between two revisions: fix the cause, then deploy again")
    )]
    LeftOver {
        /// The first failure.
        failed: Box<RunError>,
        /// The second.
        rollback: Box<RunError>,
    },
    /// The user stopped the run, and the cluster no longer answers.
    #[error("{failed}; could not roll back, changes remain in the cluster: {silence}")]
    #[diagnostic(code(todohost::release::stranded))]
    Stranded {
        /// The first error.
        failed: Box<RunError>,
        /// Why the rollback was impossible.
        silence: ClusterError,
        /// Objects that may remain.
        #[related]
        left: Vec<Cause>,
        /// The command to type.
        #[help]
        help: String,
    },
    /// The user stopped the run.
    #[error("stopped by the user")]
    #[diagnostic(code(todohost::cancelled), help("{left}"))]
    Cancelled {
        /// The state of the cluster, in one line.
        left: String,
    },
    /// The current directory was deleted, or cannot be read.
    #[error("cannot read the current directory")]
    #[diagnostic(code(todohost::project::directory), help("change to an existing directory: cd ~"))]
    CurrentDirectory {
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A bug of this program.
    #[error("internal: {what}")]
    #[diagnostic(code(todohost::internal), help("this is a bug of todohost: please report it"))]
    Internal {
        /// The broken assumption.
        what: String,
    },
}

impl From<PlanError> for RunError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Plugin(error) => error.into(),
            PlanError::Project(error) => error.into(),
        }
    }
}

/// A cause line of a diagnostic.
#[derive(Debug, Error, Diagnostic)]
#[error("{0}")]
pub struct Cause(pub String);

/// A stopped run that changed nothing.
const NOTHING_LEFT: &str = "nothing was left behind";

fn more(count: usize) -> String {
    if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() }
}

impl RunError {
    /// A bug of this program.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::Internal { what: what.into() }
    }

    /// Stopped, with nothing left behind.
    pub fn cancelled() -> Self {
        Self::Cancelled { left: NOTHING_LEFT.to_owned() }
    }

    /// A stopped run that left something behind.
    pub(super) fn names_leftovers(&self) -> bool {
        matches!(self, Self::Cancelled { left } if left != NOTHING_LEFT)
    }

    /// The error without the call that the user interrupted, which does not matter to them.
    pub(super) fn without_call(self) -> Self {
        if self.is_cancelled() && !self.names_leftovers() { Self::cancelled() } else { self }
    }

    /// The user stopped the step.
    pub fn is_cancelled(&self) -> bool {
        self.exit() == Exit::Cancelled
    }

    /// Exit code of a run that ends with this error.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Project(error) => error.exit(),
            Self::Values(error) => error.exit(),
            Self::Plugin(error) => error.exit(),
            Self::Grant(error) => error.exit(),
            Self::Cluster(error) => error.exit(),
            Self::Release(error) => error.exit(),
            Self::Secret(error) => error.exit(),
            Self::Forward(error) => error.exit(),
            Self::DeleteCluster(error) => error.exit(),
            Self::Checks { live: false, .. } | Self::PlanMoved { .. } => Exit::Check,
            Self::SecretInChart { .. } => Exit::Secret,
            Self::Unstable { .. } => Exit::Render,
            Self::NotStarted { .. } => Exit::Unreachable,
            Self::Unreferenced { .. } | Self::ImageMissing { .. } => Exit::Image,
            Self::Inputs { .. }
            | Self::Chart { .. }
            | Self::PlanFile { .. }
            | Self::Unconfirmed { .. }
            | Self::CurrentDirectory { .. }
            | Self::NoSuchRevision { .. }
            | Self::NoTarget { .. } => Exit::Usage,
            Self::Checks { live: true, .. }
            | Self::NotReady { .. }
            | Self::Hook { .. }
            | Self::Probe { .. }
            | Self::NotDeployed { .. } => Exit::Verify,
            Self::LeftOver { failed, .. } | Self::Stranded { failed, .. } => failed.exit(),
            Self::Cancelled { .. } => Exit::Cancelled,
            Self::Internal { .. } => Exit::Internal,
        }
    }

    /// The error as machines read it.
    pub fn failure(&self) -> Failure {
        match self {
            // The component's own error, without the host's wrapping.
            Self::Plugin(error) => error.failure(),
            Self::LeftOver { failed, rollback } => {
                let mut failure = Failure::of(self);
                failure.causes = failed.failure().causes;
                failure.causes.extend(rollback.failure().causes);
                failure
            }
            error => Failure::of(error),
        }
    }
}

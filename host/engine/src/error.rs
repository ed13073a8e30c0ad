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
    /// The values.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Values(#[from] ValuesError),
    /// A component.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Plugin(#[from] PluginError),
    /// A grant.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Grant(#[from] GrantError),
    /// The cluster.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Cluster(#[from] ClusterError),
    /// The release.
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
        /// How many failed.
        count: usize,
        /// What to do about the first.
        #[help]
        help: Option<String>,
        /// What runs was judged: verifying failed.
        live: bool,
    },
    /// The chart does with secrets what it may not.
    #[error("{first}{place}{}", more(*.count))]
    #[diagnostic(code(todohost::secret::chart))]
    SecretInChart {
        /// The first finding.
        first: String,
        /// Where in the chart, in brackets; empty where it is not known.
        place: String,
        /// How many there are.
        count: usize,
        /// What to do about the first.
        #[help]
        help: String,
    },
    /// What came out of the renderer is of no use.
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
        /// What it rendered.
        chart: String,
    },
    /// An image was built for nothing.
    #[error("no rendered object uses the image {reference}")]
    #[diagnostic(
        code(todohost::image::unreferenced),
        help(
            "say in todohost.toml which values name it, e.g. [images.{name}] values = {{ \"image.repository\" = \"{{name}}\", \"image.tag\" = \"{{tag}}\" }}; named are: {named}"
        )
    )]
    Unreferenced {
        /// Name of the image.
        name: String,
        /// As it should be named.
        reference: String,
        /// Images that the objects do name.
        named: String,
    },
    /// An image is not where the pods need it.
    #[error("target {target} has no image {reference}")]
    #[diagnostic(code(todohost::image::missing), help("{help}"))]
    ImageMissing {
        /// The target.
        target: String,
        /// The image.
        reference: String,
        /// What to do.
        help: String,
    },
    /// A build context cannot be read.
    #[error("cannot read the inputs of image {image}")]
    #[diagnostic(
        code(todohost::image::inputs),
        help("check the context's path and permissions in todohost.toml")
    )]
    Inputs {
        /// The image.
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
        /// Its path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The app did not become healthy.
    #[error("{object} did not become ready: {reason}")]
    #[diagnostic(code(todohost::verify::not_ready))]
    NotReady {
        /// What.
        object: String,
        /// Why, in one line.
        reason: String,
        /// What was found out.
        #[related]
        causes: Vec<Cause>,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// A hook of the chart did not complete.
    #[error("{event} hook {object} failed: {reason}")]
    #[diagnostic(code(todohost::hook::failed))]
    Hook {
        /// When it ran, e.g. `pre-upgrade`.
        event: &'static str,
        /// What did not complete.
        object: String,
        /// Why, in one line.
        reason: String,
        /// What was found out.
        #[related]
        causes: Vec<Cause>,
        /// What to do.
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
        /// What was asked.
        title: String,
        /// What came back.
        reason: String,
    },
    /// A plan file cannot be used.
    #[error("plan {file} cannot be used: {reason}")]
    #[diagnostic(
        code(todohost::plan::file),
        help("make one: todohost plan -o FILE, with the same arguments as a deploy")
    )]
    PlanFile {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A plan no longer fits what is there.
    #[error("the cluster or the project changed since this plan was made; nothing was applied")]
    #[diagnostic(
        code(todohost::plan::moved),
        help("make a new plan and review it: todohost plan -o FILE")
    )]
    PlanMoved {
        /// What moved.
        #[related]
        moved: Vec<Cause>,
    },
    /// There is nothing to verify.
    #[error("release {release} is not deployed in namespace {namespace}")]
    #[diagnostic(
        code(todohost::release::absent),
        help("deploy it first: todohost deploy --target {target}")
    )]
    NotDeployed {
        /// The release.
        release: String,
        /// The namespace.
        namespace: String,
        /// The target.
        target: String,
    },
    /// There is nothing to go back to.
    #[error("release {release} has no revision {wanted}")]
    #[diagnostic(
        code(todohost::release::no_such_revision),
        help("kept are: {known}; `todohost history` tells of each")
    )]
    NoSuchRevision {
        /// The release.
        release: String,
        /// What was asked for.
        wanted: String,
        /// Revisions that are kept.
        known: String,
    },
    /// Something that cannot be taken back was asked for, and nobody can be asked.
    #[error("delete {what}: there is no terminal to ask on")]
    #[diagnostic(code(todohost::release::unconfirmed), help("say so with --yes"))]
    Unconfirmed {
        /// What would be deleted.
        what: String,
    },
    /// No target was named and none offers itself.
    #[error("{message}")]
    #[diagnostic(code(todohost::target::not_named))]
    NoTarget {
        /// What was found.
        message: String,
        /// What to type.
        #[help]
        help: String,
    },
    /// The target is not running, and would do something about it if the user agreed.
    #[error("target {target} is not running{detail}")]
    #[diagnostic(
        code(todohost::target::not_started),
        help("it would {offer}, if you agree: todohost deploy --target {target} --yes")
    )]
    NotStarted {
        /// The target.
        target: String,
        /// How it is.
        detail: String,
        /// What it would do.
        offer: String,
    },
    /// It failed, and taking it back failed, too.
    #[error("{failed}; and {rollback}")]
    #[diagnostic(
        code(todohost::release::left_over),
        help("the cluster is between two revisions: once the cause is gone, run the deploy again")
    )]
    LeftOver {
        /// The first failure.
        failed: Box<RunError>,
        /// The second.
        rollback: Box<RunError>,
    },
    /// The user stopped it, and the cluster does not answer any more.
    #[error("{failed}; could not roll back, changes remain in the cluster: {silence}")]
    #[diagnostic(code(todohost::release::stranded))]
    Stranded {
        /// Why the run ended.
        failed: Box<RunError>,
        /// Why nothing could be taken back.
        silence: ClusterError,
        /// What may be left behind.
        #[related]
        left: Vec<Cause>,
        /// What to type.
        #[help]
        help: String,
    },
    /// The user stopped it.
    #[error("stopped by the user")]
    #[diagnostic(code(todohost::cancelled), help("{left}"))]
    Cancelled {
        /// What was left behind: nothing, or what.
        left: String,
    },
    /// A defect of this program.
    #[error("internal: {what}")]
    #[diagnostic(code(todohost::internal), help("this is a defect of todohost: please report it"))]
    Internal {
        /// What went wrong.
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
    /// A defect of this program.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::Internal { what: what.into() }
    }

    /// Stopped, with nothing left behind.
    pub fn cancelled() -> Self {
        Self::Cancelled { left: NOTHING_LEFT.to_owned() }
    }

    /// A stopped run that says what it left behind.
    pub(super) fn names_leftovers(&self) -> bool {
        matches!(self, Self::Cancelled { left } if left != NOTHING_LEFT)
    }

    /// The error without the call that the user interrupted, which does not matter to them.
    pub(super) fn without_call(self) -> Self {
        if self.is_cancelled() && !self.names_leftovers() { Self::cancelled() } else { self }
    }

    /// It is how a step ends that the user stopped.
    pub fn is_cancelled(&self) -> bool {
        self.exit() == Exit::Cancelled
    }

    /// Exit code of a run that ends with it.
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
            // What the component said, not our wrapping of it.
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

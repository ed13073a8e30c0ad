//! What can be typed, with its help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use todohost_engine::plan::Goal;
use todohost_engine::{AfterFailure, LOCK_TIMEOUT};
use todohost_model::field::FieldPattern;
use todohost_project::TimeLimit;
use todohost_project::values::ValueArgument;
use todohost_release::{Adoption, Takeover};

/// Deploys an app to a local Kubernetes: builds its images, renders its chart, applies the objects and
/// waits until everything is healthy. Every step is a sandboxed component.
#[derive(Debug, Parser)]
#[command(name = "todohost", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
Examples:
  todohost deploy --target TARGET --secret secrets.databaseUrl=env:DATABASE_URL
  todohost deploy --target TARGET --dry-run
  todohost status --target TARGET
  todohost plugin list

Exit codes:
  0 done, or nothing to do     5 cluster not reachable    9 image missing or not referenced
  2 arguments, project, values 6 tool not running        10 the cluster refused an object
  3 a check failed             7 image did not build     11 the app did not become ready
  4 secret missing or misused  8 chart did not render    12 a plugin misbehaved or lacks a grant
  1 defect of todohost       130 stopped by Ctrl-C       13 nothing but warnings (doctor)")]
pub(super) struct Arguments {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
pub(super) struct Common {
    /// Project file or its directory [default: todohost.toml here or above]
    #[arg(long, global = true, value_name = "PATH")]
    pub project: Option<PathBuf>,
    /// How to print: `json` gives one document per event on stdout
    #[arg(long, short, global = true, value_enum, default_value_t = OutputFormat::Human)]
    pub output: OutputFormat,
    /// Show calls of components and the output of tools
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// Show only how it ends
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFormat {
    /// For people
    Human,
    /// For programs
    Json,
    /// Names only, one per line
    Name,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Build, render, apply and verify: the whole way to the running app
    #[command(after_help = "\
Examples:
  todohost deploy --target TARGET \\
      --secret secrets.databaseUrl=env:DATABASE_URL --secret secrets.jwtSecret=prompt:
  todohost deploy --target TARGET --set backend.replicaCount=2 --dry-run

A value given with --set stays in the shell's history; --secret does not.
A first deploy that fails is taken away again; a later one goes back to the revision before.")]
    Deploy(DeployOptions),
    /// Write down exactly what a deploy would do, for `deploy --plan`; images are built, nothing is applied
    #[command(after_help = "\
Examples:
  todohost plan --target TARGET -o next.json --secret secrets.databaseUrl=env:DATABASE_URL
  todohost deploy --plan next.json --secret secrets.databaseUrl=env:DATABASE_URL

The file is JSON and holds no value of a secret, only a keyed hash of each: the values are given again to
the deploy, and must be the same. Before the first deploy the file holds the key, too: keep it to yourself.
The deploy applies exactly what is in the file, or refuses and says what moved since.")]
    Plan(PlanOptions),
    /// Build the images that changed
    Build(RunOptions),
    /// Print the objects that a deploy would apply; values of secrets are left out
    Render(RunOptions),
    /// Apply and verify, with images that are already there
    Apply(ChangeOptions),
    /// Wait until what is deployed is healthy, and probe it
    Verify(VerifyOptions),
    /// Show what a deploy would change, object by object; values of secrets are left out
    #[command(after_help = "\
Examples:
  todohost diff --target TARGET --secret secrets.databaseUrl=env:DATABASE_URL
  todohost diff --target TARGET -o json | jq -c 'select(.event == \"difference\")'

The API server is asked by a dry run, so that nothing shows which it would fill in itself.
Exit codes: 0 no difference, 2 a difference (or wrong arguments; the error is on stderr).")]
    Diff(RunOptions),
    /// Run all checks without changing anything
    Check(RunOptions),
    /// Tell whether target, cluster and database can take a deploy, and what to do where not
    #[command(after_help = "\
Examples:
  todohost doctor
  todohost doctor --target TARGET --secret secrets.databaseUrl=env:DATABASE_URL

Nothing is started or changed, but for a pod that asks whether the cluster reaches the database and
goes again. Exit codes: 0 all is well, 13 there are warnings, 3 a row failed, 5 the cluster is not
reached; the others are those of every command.")]
    Doctor(DoctorOptions),
    /// Show what is deployed, how it is and where it answers
    Status(StatusOptions),
    /// List the revisions that are kept, and who made each with what
    History(StatusOptions),
    /// Open a port of this machine that leads to the app, until Ctrl-C
    #[command(after_help = "\
Examples:
  todohost forward --target TARGET
  todohost forward SERVICE --target TARGET --port 8000

It stays open while pods are restarted or replaced: each new connection goes to a pod that is
ready, and waits a minute for one. Ctrl-C ends it, with exit code 0.")]
    Forward(ForwardOptions),
    /// Go back to an older revision, as a new one
    #[command(after_help = "\
Examples:
  todohost rollback --target TARGET
  todohost rollback 3 --target TARGET

Without a number it is the last revision before this one that was in force. Its images have to be there still.
It brings objects back, and no data: an external database stays as it is.")]
    Rollback(RollbackOptions),
    /// Take the app away: its objects in reverse order, its hooks, its history
    #[command(after_help = "\
Objects with the annotation helm.sh/resource-policy: keep stay, and so do volume claims, definitions and
namespaces; each is named. Without a terminal it needs --yes.")]
    Delete(DeleteOptions),
    /// Look at plugins, and allow them to run
    Plugin {
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Look at targets, and take a cluster away
    Target {
        #[command(subcommand)]
        command: TargetCommand,
    },
    /// Print the JSON Schema of todohost.toml
    #[command(hide = true)]
    Schema,
}

impl Command {
    /// What it prints is one document, among which no event may stand.
    pub fn answers(&self) -> bool {
        matches!(
            self,
            Self::Status(_)
                | Self::History(_)
                | Self::Forward(_)
                | Self::Plugin { .. }
                | Self::Target { .. }
        )
    }

    pub fn goal(&self) -> Goal {
        match self {
            Self::Build(_) => Goal::Build,
            Self::Render(_) => Goal::Render,
            Self::Apply(_) => Goal::Apply,
            Self::Verify(options) if options.tests => Goal::Test,
            Self::Verify(_) => Goal::Verify,
            Self::Diff(_) => Goal::Diff,
            Self::Plan(_) => Goal::Plan,
            Self::Check(_) => Goal::Check,
            Self::Doctor(_) => Goal::Doctor,
            _ => Goal::Deploy,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct DeployOptions {
    /// Apply exactly what a plan says, or nothing where something moved since
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "set_string", "set_json", "set_file", "take", "force", "adopt", "dry_run"])]
    pub plan: Option<PathBuf>,
    #[command(flatten)]
    pub change: ChangeOptions,
}

#[derive(Debug, Args)]
pub(super) struct PlanOptions {
    /// Where the plan is written to
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    pub file: PathBuf,
    /// How to print: `json` gives one document per event on stdout
    // The global option without its short form, which names the file here.
    #[arg(id = "output", long = "output", value_name = "OUTPUT", value_enum, default_value_t = OutputFormat::Human)]
    pub format: OutputFormat,
    #[command(flatten)]
    pub run: RunOptions,
}

#[derive(Debug, Args)]
pub(super) struct RunOptions {
    /// Where to deploy to, or `auto` for the best local cluster; may be given more than once
    /// [default: the only local cluster that runs]
    #[arg(long, short, value_name = "TARGET")]
    pub target: Vec<String>,
    /// Agree that the target starts or creates its cluster where that is not there
    #[arg(long, short)]
    pub yes: bool,
    /// Print what would be done, step by step, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Take a field that another tool manages: .spec.replicas, or Deployment/web:.spec.replicas
    #[arg(long, value_name = "FIELD")]
    take: Vec<FieldPattern>,
    /// Take every field that another tool manages, but those that a controller owns by rule
    #[arg(long)]
    force: bool,
    /// How long objects may take to become ready, e.g. 5m [default: app.ready-within, else 60s]
    #[arg(long, value_name = "TIME")]
    pub ready_within: Option<TimeLimit>,
    /// Take over an object that the release did not make; `all` for every one that it names
    #[arg(long, value_name = "KIND/NAME")]
    adopt: Vec<Adoption>,
    #[command(flatten)]
    pub values: ValueOptions,
}

impl RunOptions {
    /// What is said about what others made or manage.
    pub fn takeover(&self) -> Takeover {
        Takeover {
            force: self.force,
            take: self.take.clone(),
            adopt: self.adopt.clone(),
            ..Takeover::default()
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct VerifyOptions {
    /// Also run the tests of the chart: its hooks for `test`
    #[arg(long)]
    pub tests: bool,
    #[command(flatten)]
    pub run: RunOptions,
}

#[derive(Debug, Args)]
pub(super) struct RollbackOptions {
    /// The revision to go back to [default: the last good one before]
    pub revision: Option<u32>,
    /// Where it is deployed [default: the only local cluster that runs]
    #[arg(long, short, value_name = "TARGET")]
    pub target: Vec<String>,
    #[command(flatten)]
    pub lock: LockOptions,
}

#[derive(Debug, Args)]
pub(super) struct DeleteOptions {
    /// Where it is deployed [default: the only local cluster that runs]
    #[arg(long, short, value_name = "TARGET")]
    pub target: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Keep the revisions, to be read and rolled back to
    #[arg(long)]
    pub keep_history: bool,
    /// Delete the namespace, too, where it was created for this app and nothing else is in it
    #[arg(long)]
    pub with_namespace: bool,
    #[command(flatten)]
    pub lock: LockOptions,
}

#[derive(Debug, Args)]
pub(super) struct LockOptions {
    /// How long another deploy of the same app is waited for, e.g. 30s [default: 10m]
    #[arg(long, value_name = "TIME")]
    lock_timeout: Option<TimeLimit>,
}

impl LockOptions {
    pub fn timeout(&self) -> TimeLimit {
        self.lock_timeout.unwrap_or(LOCK_TIMEOUT)
    }
}

#[derive(Debug, Args)]
pub(super) struct ChangeOptions {
    #[command(flatten)]
    pub run: RunOptions,
    /// Go back to the revision in force where an upgrade fails: what happens anyway
    #[arg(long, overrides_with = "no_rollback")]
    rollback: bool,
    /// Leave a failed upgrade as it is, to be looked at
    #[arg(long, overrides_with = "rollback")]
    no_rollback: bool,
    /// Leave what a failed first deploy made, to be looked at
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    pub lock: LockOptions,
}

impl ChangeOptions {
    pub fn after_failure(&self) -> AfterFailure {
        AfterFailure { roll_back: self.rollback || !self.no_rollback, keep: self.keep }
    }
}

#[derive(Debug, Args)]
pub(super) struct StatusOptions {
    /// Where it is deployed [default: the only local cluster that runs]
    #[arg(long, short, value_name = "TARGET")]
    pub target: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct ForwardOptions {
    /// Which Service [default: the only one that is open to the outside]
    pub service: Option<String>,
    /// Where it is deployed [default: the only local cluster that runs]
    #[arg(long, short, value_name = "TARGET")]
    pub target: Option<String>,
    /// Port of this machine [default: a free one]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
}

#[derive(Debug, Args)]
pub(super) struct DoctorOptions {
    /// Where you would deploy to [default: the only local cluster that runs]
    #[arg(long, short, value_name = "TARGET")]
    pub target: Vec<String>,
    #[command(flatten)]
    pub values: ValueOptions,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Values")]
pub(super) struct ValueOptions {
    /// Values file, as YAML; later ones win
    #[arg(long = "values", short = 'f', value_name = "FILE")]
    files: Vec<String>,
    /// Set values: a.b=1,list={x,y}; a secret alone: --set PATH=VALUE
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Set values as text
    #[arg(long, value_name = "PATH=VALUE")]
    set_string: Vec<String>,
    /// Set a value from JSON
    #[arg(long, value_name = "PATH=JSON")]
    set_json: Vec<String>,
    /// Set a value to the content of a file
    #[arg(long, value_name = "PATH=FILE")]
    set_file: Vec<String>,
    /// Give a secret: PATH=env:NAME, PATH=file:PATH or PATH=prompt:
    #[arg(long, value_name = "PATH=SOURCE")]
    secret: Vec<String>,
}

impl ValueOptions {
    pub fn arguments(&self) -> Vec<ValueArgument> {
        type Make = fn(String) -> ValueArgument;
        let kinds: [(&[String], Make); 6] = [
            (&self.files, ValueArgument::File),
            (&self.set, ValueArgument::Set),
            (&self.set_string, ValueArgument::SetString),
            (&self.set_json, ValueArgument::SetJson),
            (&self.set_file, ValueArgument::SetFile),
            (&self.secret, ValueArgument::Secret),
        ];
        kinds
            .into_iter()
            .flat_map(|(texts, make)| texts.iter().map(move |text| make(text.clone())))
            .collect()
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// List the plugins that come with this program
    List,
    /// Show what a plugin is, what it can do and what it wants to be allowed
    Inspect {
        /// Id, or path of a component
        plugin: String,
    },
    /// Allow a plugin of your own what it requests; kept outside of the project
    Allow {
        /// Path of the component
        plugin: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum TargetCommand {
    /// List the targets, with the state of each
    List {
        /// Only local clusters that run
        #[arg(long)]
        local: bool,
    },
    /// Take away the cluster of a target, with everything in it
    #[command(after_help = "\
Only a cluster of this machine, and only by a target that makes clusters itself. Without a
terminal it needs --yes. To take the app away and keep the cluster: todohost delete.")]
    Delete {
        /// Which target
        target: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_plan_has_a_file_and_a_format() {
        let line = ["todohost", "plan", "-o", "next.json", "--output", "json"];
        let arguments = Arguments::parse_from(line);
        assert_eq!(arguments.common.output, OutputFormat::Json);
        let Command::Plan(options) = arguments.command else { panic!() };
        assert_eq!(options.file, PathBuf::from("next.json"));
        let arguments =
            Arguments::parse_from(["todohost", "-o", "json", "plan", "-o", "next.json"]);
        assert_eq!(arguments.common.output, OutputFormat::Json);
    }

    #[test]
    fn the_last_word_on_going_back_counts() {
        let rolls_back = |words: &[&str]| {
            let line = ["todohost", "deploy"].iter().chain(words);
            let Command::Deploy(options) = Arguments::parse_from(line).command else { panic!() };
            options.change.after_failure().roll_back
        };
        assert!(rolls_back(&[]));
        assert!(!rolls_back(&["--no-rollback"]));
        assert!(rolls_back(&["--no-rollback", "--rollback"]));
        assert!(!rolls_back(&["--rollback", "--no-rollback"]));
    }

    #[test]
    fn several_targets_and_values_are_taken() {
        let line = ["todohost", "deploy", "--target", "a", "--target", "b", "--set", "x=1"];
        let Command::Deploy(options) = Arguments::parse_from(line).command else { panic!() };
        let options = options.change.run;
        assert_eq!(options.target, ["a", "b"]);
        assert!(options.values.arguments() == [ValueArgument::Set("x=1".into())]);
    }
}

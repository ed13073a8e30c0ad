//! The arguments of every command, with their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use todohost_engine::plan::Goal;
use todohost_engine::{AfterFailure, LOCK_TIMEOUT};
use todohost_model::field::FieldPattern;
use todohost_project::TimeLimit;
use todohost_project::values::ValueArgument;
use todohost_release::{Adoption, OwnershipPolicy};

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
  3 a check failed             7 image build failed      11 the app did not become ready
  4 secret missing or misused  8 chart rendering failed  12 a plugin misbehaved or lacks a grant
  1 bug of todohost          130 stopped by Ctrl-C       13 only warnings (doctor)")]
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
    /// Show only the result
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
    /// Build, render, apply and verify the app
    #[command(after_help = "\
Examples:
  todohost deploy --target TARGET \\
      --secret secrets.databaseUrl=env:DATABASE_URL --secret secrets.jwtSecret=prompt:
  todohost deploy --target TARGET --set backend.replicaCount=2 --dry-run

A value given with --set stays in the shell's history; --secret does not.
A failed first deploy is removed again; a failed upgrade rolls back to the previous revision.")]
    Deploy(DeployOptions),
    /// Write the exact changes of a deploy to a plan file; builds images, applies nothing
    #[command(after_help = "\
Examples:
  todohost plan --target TARGET -o next.json --secret secrets.databaseUrl=env:DATABASE_URL
  todohost deploy --plan next.json --secret secrets.databaseUrl=env:DATABASE_URL

The plan file is JSON. It holds a keyed hash of each secret, never a value: pass the same secrets to the
deploy again. Before the first deploy the file also holds the key, so keep it private.
The deploy applies exactly the planned changes, or refuses and lists the drift.")]
    Plan(PlanOptions),
    /// Build the images that changed
    Build(RunOptions),
    /// Print the objects that a deploy would apply; values of secrets are left out
    Render(RunOptions),
    /// Apply and verify, with images that are already built
    Apply(ChangeOptions),
    /// Wait until the deployed app is healthy, and probe it
    Verify(VerifyOptions),
    /// Show the changes of a deploy, object by object; values of secrets are left out
    #[command(after_help = "\
Examples:
  todohost diff --target TARGET --secret secrets.databaseUrl=env:DATABASE_URL
  todohost diff --target TARGET -o json | jq -c 'select(.event == \"difference\")'

The changes come from a dry run on the API server, so fields that the server fills in do not show.
Exit codes: 0 no difference, 2 a difference (or wrong arguments; the error is on stderr).")]
    Diff(RunOptions),
    /// Run all checks without changing anything
    Check(RunOptions),
    /// Check that the target, cluster and database are ready for a deploy, and how to fix what is not
    #[command(after_help = "\
Examples:
  todohost doctor
  todohost doctor --target TARGET --secret secrets.databaseUrl=env:DATABASE_URL

Starts and changes nothing, except for a temporary pod that tests the connection from the cluster to
the database. Exit codes: 0 ready, 13 ready with warnings, 3 a row failed, 5 the cluster is not
reachable; the others are those of every command.")]
    Doctor(DoctorOptions),
    /// Show the deployed revision, the health of its objects, and its addresses
    Status(StatusOptions),
    /// List the kept revisions, with author and program of each
    History(StatusOptions),
    /// Forward a port of this machine to the app, until Ctrl-C
    #[command(after_help = "\
Examples:
  todohost forward --target TARGET
  todohost forward SERVICE --target TARGET --port 8000

The port stays open while pods are restarted or replaced: each new connection goes to a ready pod,
and waits up to a minute for one. Ctrl-C ends it, with exit code 0.")]
    Forward(ForwardOptions),
    /// Roll back to an older revision, as a new one
    #[command(after_help = "\
Examples:
  todohost rollback --target TARGET
  todohost rollback 3 --target TARGET

Without a number, rolls back to the last good revision before the current one. Its images must still exist.
A rollback restores objects, not data: an external database is unchanged.")]
    Rollback(RollbackOptions),
    /// Delete the app: hooks, objects (in reverse order) and history
    #[command(after_help = "\
Keeps objects with the annotation helm.sh/resource-policy: keep, volume claims, definitions and
namespaces, and lists each. Without a terminal, --yes is required.")]
    Delete(DeleteOptions),
    /// List, inspect and allow plugins
    Plugin {
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// List targets, and delete the cluster of one
    Target {
        #[command(subcommand)]
        command: TargetCommand,
    },
    /// Print the JSON Schema of todohost.toml, or of the events of `--output json`
    #[command(hide = true)]
    Schema {
        /// Document to describe
        #[arg(value_enum, default_value_t = SchemaOf::Project)]
        of: SchemaOf,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaOf {
    /// The file todohost.toml
    Project,
    /// An event
    Events,
}

impl Command {
    /// The command prints one document, so no event may be printed between.
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
    /// Carry out a plan file, or nothing if cluster or project drifted since
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "set_string", "set_json", "set_file", "take", "force", "adopt", "dry_run"])]
    pub plan: Option<PathBuf>,
    #[command(flatten)]
    pub change: ChangeOptions,
}

#[derive(Debug, Args)]
pub(super) struct PlanOptions {
    /// Plan file to write
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
    /// Target to deploy to, or `auto` for the best local cluster; may be repeated
    /// [default: the only local cluster that runs]
    #[arg(long, short, value_name = "TARGET")]
    pub target: Vec<String>,
    /// Start or create the target's cluster if needed, without asking
    #[arg(long, short)]
    pub yes: bool,
    /// Print the steps without running them
    #[arg(long)]
    pub dry_run: bool,
    /// Take a field that another tool manages: .spec.replicas, or Deployment/web:.spec.replicas
    #[arg(long, value_name = "FIELD")]
    take: Vec<FieldPattern>,
    /// Take every field that another tool manages, except those that a controller owns by rule
    #[arg(long)]
    force: bool,
    /// How long objects may take to become ready, e.g. 5m [default: app.ready-within, else 60s]
    #[arg(long, value_name = "TIME")]
    pub ready_within: Option<TimeLimit>,
    /// Take over an object of another owner; `all` for every such object in the chart
    #[arg(long, value_name = "KIND/NAME")]
    adopt: Vec<Adoption>,
    #[command(flatten)]
    pub values: ValueOptions,
}

impl RunOptions {
    /// The policy for objects and fields of other owners.
    pub fn takeover(&self) -> OwnershipPolicy {
        OwnershipPolicy {
            force: self.force,
            take: self.take.clone(),
            adopt: self.adopt.clone(),
            ..OwnershipPolicy::default()
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
    /// Revision to roll back to [default: the last good one before the current]
    pub revision: Option<u32>,
    /// Target of the app [default: the only local cluster that runs]
    #[arg(long, short, value_name = "TARGET")]
    pub target: Vec<String>,
    #[command(flatten)]
    pub lock: LockOptions,
}

#[derive(Debug, Args)]
pub(super) struct DeleteOptions {
    /// Target of the app [default: the only local cluster that runs]
    #[arg(long, short, value_name = "TARGET")]
    pub target: Vec<String>,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub yes: bool,
    /// Keep the revisions, for `history` and `rollback`
    #[arg(long)]
    pub keep_history: bool,
    /// Also delete the namespace, if it was created for this app and is empty
    #[arg(long)]
    pub with_namespace: bool,
    #[command(flatten)]
    pub lock: LockOptions,
}

#[derive(Debug, Args)]
pub(super) struct LockOptions {
    /// How long to wait for another deploy of the same app, e.g. 30s [default: 10m]
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
    /// Roll back a failed upgrade to the current revision (the default)
    #[arg(long, overrides_with = "no_rollback")]
    rollback: bool,
    /// Keep a failed upgrade in the cluster, for inspection
    #[arg(long, overrides_with = "rollback")]
    no_rollback: bool,
    /// Keep the objects of a failed first deploy, for inspection
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
    /// Target of the app [default: the only local cluster that runs]
    #[arg(long, short, value_name = "TARGET")]
    pub target: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct ForwardOptions {
    /// Service to forward to [default: the only one that is open to the outside]
    pub service: Option<String>,
    /// Target of the app [default: the only local cluster that runs]
    #[arg(long, short, value_name = "TARGET")]
    pub target: Option<String>,
    /// Port of this machine [default: a free one]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
}

#[derive(Debug, Args)]
pub(super) struct DoctorOptions {
    /// Target to examine [default: the only local cluster that runs]
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
    /// Show a plugin's roles, imports and requested grants
    Inspect {
        /// Id, or path of a component
        plugin: String,
    },
    /// Grant your own plugin its requests; stored outside of the project
    Allow {
        /// Path of the component
        plugin: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum TargetCommand {
    /// List the targets, with the state of each
    List {
        /// List only local clusters that run
        #[arg(long)]
        local: bool,
    },
    /// Delete the cluster of a target, with everything in it
    #[command(after_help = "\
Works only for clusters on this machine, and only with targets that create clusters. Without a
terminal, --yes is required. To delete the app and keep the cluster: todohost delete.")]
    Delete {
        /// Name of the target
        target: String,
        /// Do not ask for confirmation
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
    fn the_last_rollback_option_wins() {
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
    fn targets_and_values_may_be_repeated() {
        let line = ["todohost", "deploy", "--target", "a", "--target", "b", "--set", "x=1"];
        let Command::Deploy(options) = Arguments::parse_from(line).command else { panic!() };
        let options = options.change.run;
        assert_eq!(options.target, ["a", "b"]);
        assert!(options.values.arguments() == [ValueArgument::Set("x=1".into())]);
    }
}

//! `todohost.toml`, the description of a project's deployment.
//!
//! Owns the file's model, its validation with line numbers, and its JSON Schema; the values of a deploy (`values`); and
//! the cache of the results of pure steps (`cache`). It does not read the images' sources, the chart or any plugin.

pub mod cache;
mod error;
mod source;
mod step_plugin;
mod time_limit;
mod validate;
pub mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use todohost_model::field::FieldPattern;
use todohost_model::option_mistake::OptionMistake;
use todohost_model::suggestion::suggestion;

pub use error::ProjectError;
pub use source::Source;
pub use step_plugin::StepPlugin;
pub use time_limit::TimeLimit;
pub use validate::AUTO;

/// Name of the project file.
pub const FILE_NAME: &str = "todohost.toml";

/// Default time limit within which objects must become ready.
pub const READY_WITHIN: TimeLimit = TimeLimit::of(Duration::from_mins(1));

/// A valid project.
#[derive(Clone, Debug)]
pub struct Project {
    /// The directory of the project file; every path in it is relative to this.
    pub root: PathBuf,
    /// The content of the project file.
    pub file: ProjectFile,
    /// The text of the project file, for errors that are found later.
    pub source: Source,
}

/// A project and its deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "todohost.toml")]
pub struct ProjectFile {
    /// The app and its release.
    pub app: App,
    /// Images that are built from the project. NAME is the image's name.
    #[serde(default)]
    pub images: BTreeMap<String, Image>,
    /// Values that are secret. NAME is the path of the value, e.g. `secrets.databaseUrl`.
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
    /// The plugin of each step: its id, its path, or a table with options. The default is the only core plugin for the
    /// step.
    #[serde(default)]
    pub plugins: StepPlugins,
    /// Rules for applying objects.
    #[serde(default)]
    pub apply: Apply,
    /// Checks that a deploy must pass. NAME is your choice.
    #[serde(default)]
    pub checks: BTreeMap<String, Check>,
    /// Clusters to deploy to. NAME is the argument of `--target`; a target plugin can be named without an entry.
    #[serde(default)]
    pub targets: BTreeMap<String, Target>,
}

/// The app that is deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Name of the app and of its release.
    pub name: String,
    /// Namespace of the release; created if missing.
    pub namespace: String,
    /// Directory that is rendered, e.g. a chart.
    pub chart: String,
    /// Values files. A later file overrides an earlier one.
    #[serde(default)]
    pub values: Vec<String>,
    /// Time limit within which the objects of a wave, and at the end all objects, must become ready. `--ready-within`
    /// overrides it. The default is one minute.
    #[serde(default, rename = "ready-within", skip_serializing_if = "Option::is_none")]
    pub ready_within: Option<TimeLimit>,
}

/// An image that is built from the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Build context: the directory with the files that the build can read.
    pub context: String,
    /// Dockerfile, relative to the context.
    #[serde(default = "default_dockerfile")]
    pub dockerfile: String,
    /// Stage to build; by default the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Platform, e.g. `linux/arm64`; by default the builder's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Build arguments.
    #[serde(default)]
    pub arguments: BTreeMap<String, String>,
    /// Chart values that name the image: a text for each path, in which `{name}`, `{tag}` and `{reference}` are replaced.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
}

fn default_dockerfile() -> String {
    "Dockerfile".to_owned()
}

/// A secret value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Whether a deploy requires the secret.
    #[serde(default)]
    pub required: bool,
}

/// The plugin of each step: its id, its path, or a table with options.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepPlugins {
    /// Builds images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<StepPlugin>,
    /// Renders objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub render: Option<StepPlugin>,
    /// Plans the order of objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply: Option<StepPlugin>,
    /// Judges readiness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<StepPlugin>,
}

/// Rules for applying objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// Fields that are left to other managers, e.g. `Deployment/web:.spec.replicas`. `.spec.replicas` matches the field of
    /// every object, and `*` matches any text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
}

impl Apply {
    /// The fields that are left to other managers.
    pub fn ignored(&self) -> Vec<FieldPattern> {
        // The validation of the file refuses malformed patterns.
        self.ignore.iter().filter_map(|text| text.parse().ok()).collect()
    }
}

/// A check that must pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Id or path of the plugin, e.g. `checks/labels.wasm`.
    pub plugin: String,
    /// The plugin's options.
    #[serde(default = "no_options")]
    pub options: Value,
}

/// A cluster to deploy to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Id or path of the plugin; by default the target's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// The plugin's options.
    #[serde(default = "no_options")]
    pub options: Value,
}

fn no_options() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Project {
    /// Reads the project file: `path` itself, or the one in `start` or the nearest directory above it.
    ///
    /// # Errors
    /// If the project file is missing, cannot be read or is invalid.
    pub fn open(path: Option<&Path>, start: &Path) -> Result<Self, ProjectError> {
        let file = match path {
            Some(path) if path.is_dir() => path.join(FILE_NAME),
            Some(path) => path.to_owned(),
            None => start
                .ancestors()
                .map(|directory| directory.join(FILE_NAME))
                .find(|file| file.is_file())
                .ok_or_else(|| ProjectError::Missing { start: start.display().to_string() })?,
        };
        let unreadable =
            |source| ProjectError::Unreadable { file: file.display().to_string(), source };
        let text = fs_err::read_to_string(&file).map_err(unreadable)?;
        let root = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        let root = fs_err::canonicalize(root.unwrap_or(Path::new("."))).map_err(unreadable)?;
        Self::read(root, Source::new(&file.display().to_string(), &text))
    }

    /// A project from the text of its file.
    ///
    /// # Errors
    /// If the text is invalid.
    pub fn read(root: PathBuf, source: Source) -> Result<Self, ProjectError> {
        Ok(Self { root, file: ProjectFile::parse(&source)?, source })
    }

    /// An empty project, for commands outside of a project.
    pub fn empty(root: PathBuf) -> Self {
        Self { root, file: ProjectFile::empty(), source: Source::new(FILE_NAME, "") }
    }

    /// The error for invalid options of a plugin, at the place of the first mistake. `key` is the path of the options.
    pub fn refuse_options(
        &self,
        key: &[&str],
        plugin: &str,
        mistakes: &[OptionMistake],
    ) -> ProjectError {
        let mut path: Vec<String> = key.iter().map(|&key| key.to_owned()).collect();
        let first = mistakes.first().cloned().unwrap_or_default();
        path.extend(first.path);
        let (place, help) = match &first.unknown {
            Some(unknown) => {
                path.push(unknown.clone());
                let known: Vec<&str> = first.known.iter().map(String::as_str).collect();
                (self.source.key(&path), suggestion(unknown, &known))
            }
            None => {
                let help = format!("`todohost plugin inspect {plugin}` prints its options");
                (self.source.value(&path), help)
            }
        };
        ProjectError::Option {
            file: self.source.name.clone(),
            line: place.line,
            key: path.join("."),
            reason: first.reason,
            others: mistakes.len().saturating_sub(1),
            text: self.source.shown(),
            place: place.span,
            help,
        }
    }
}

impl ProjectFile {
    /// Reads a project file's text.
    ///
    /// # Errors
    /// The first mistake with its place; for an unknown key, with the most similar known one.
    pub fn parse(source: &Source) -> Result<Self, ProjectError> {
        let mut file: Self =
            toml::from_str(&source.text).map_err(|error| ProjectError::syntax(source, &error))?;
        validate::validate(source, &file)?;
        // Plugins get the same form of a path as from the workspace: `chart`, not `./chart`.
        if let Some(plain) = file.app.chart.strip_prefix("./").filter(|plain| !plain.is_empty()) {
            file.app.chart = plain.to_owned();
        }
        Ok(file)
    }

    fn empty() -> Self {
        Self {
            app: App {
                name: "app".to_owned(),
                namespace: "default".to_owned(),
                chart: ".".to_owned(),
                values: Vec::new(),
                ready_within: None,
            },
            images: BTreeMap::new(),
            secrets: BTreeMap::new(),
            plugins: StepPlugins::default(),
            apply: Apply::default(),
            checks: BTreeMap::new(),
            targets: BTreeMap::new(),
        }
    }

    /// The JSON Schema of the file; published as `docs/todohost.schema.json`.
    pub fn json_schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }

    /// All paths in the file that checks of the phase `source` may read, sorted.
    pub fn sources(&self) -> Vec<String> {
        let mut paths = vec![self.app.chart.clone()];
        paths.extend(self.app.values.iter().cloned());
        paths.extend(self.images.values().map(|image| image.context.clone()));
        paths.sort();
        paths.dedup();
        paths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[app]
name = "todo-app"
namespace = "todo"
chart = "chart"

[images.api]
context = "api"
values = { "api.image" = "{reference}" }

[secrets]
"secrets.key" = { required = true }
"#;

    fn read(text: &str) -> Result<ProjectFile, ProjectError> {
        ProjectFile::parse(&Source::new(FILE_NAME, text))
    }

    fn refused(text: &str) -> (String, String) {
        let error = read(text).unwrap_err();
        let help = miette::Diagnostic::help(&error).map(|help| help.to_string());
        (error.to_string(), help.unwrap_or_default())
    }

    #[test]
    fn a_valid_file_is_read() {
        let file = read(GOOD).unwrap();
        assert_eq!(file.images["api"].dockerfile, "Dockerfile");
        assert!(file.secrets["secrets.key"].required);
        assert_eq!(file.sources(), ["api", "chart"]);
    }

    #[test]
    fn the_chart_path_has_the_form_of_workspace_paths() {
        let chart = |text: &str| read(&GOOD.replace("\"chart\"", text)).unwrap().app.chart;
        assert_eq!(chart("\"./deploy/chart\""), "deploy/chart");
        assert_eq!(chart("\"./\""), "./");
    }

    #[test]
    fn an_unknown_key_is_reported_with_line_and_suggestion() {
        let (message, help) = refused(&GOOD.replace("context", "contxt"));
        assert_eq!(message, "todohost.toml:8: unknown key `contxt`");
        assert!(help.contains("did you mean `context`?"), "{help}");
        let (message, _) = refused(&format!("{GOOD}\n[imagse.x]\ncontext = \"x\"\n"));
        assert!(message.ends_with("unknown key `imagse`"), "{message}");
    }

    #[test]
    fn paths_must_stay_inside_the_project() {
        for path in ["../other", "/etc", "a/../../b"] {
            let (message, _) =
                refused(&GOOD.replace("context = \"api\"", &format!("context = \"{path}\"")));
            assert!(message.contains(path), "{message}");
        }
    }

    #[test]
    fn an_invalid_duration_is_reported_with_its_line() {
        let text = |time: &str| {
            GOOD.replace("\n\n[images", &format!("\nready-within = {time}\n\n[images"))
        };
        let file = read(&text("\"5m\"")).unwrap();
        assert_eq!(file.app.ready_within.unwrap().duration(), Duration::from_mins(5));
        let (message, _) = refused(&text("\"soon\""));
        assert!(message.starts_with("todohost.toml:6: invalid duration \"soon\""), "{message}");
    }

    #[test]
    fn names_must_be_valid_in_the_cluster() {
        assert!(refused(&GOOD.replace("todo-app", "Todo_App")).0.contains("app.name"));
        assert!(refused(&GOOD.replace("\"todo\"", "\"todo.x\"")).0.contains("app.namespace"));
        assert!(refused(&GOOD.replace("{reference}", "{digest}")).0.contains("{digest}"));
        assert!(refused(&GOOD.replace("secrets.key", "secrets..key")).0.contains("secrets..key"));
    }

    #[test]
    fn the_published_schema_is_current() {
        let published = fs_err::read_to_string("../../docs/todohost.schema.json").unwrap();
        let published: Value = serde_json::from_str(&published).unwrap();
        assert!(
            published == ProjectFile::json_schema(),
            "docs/todohost.schema.json is out of date: run `todohost schema > docs/todohost.schema.json`"
        );
    }
}

//! The project as it is before rendering: its file, the Dockerfiles of its images, and the chart.

use crate::dockerfile::{Dockerfile, Unreadable, Variables};
use crate::ignore::Ignore;
use crate::location::Location;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use todohost_plugin::{Error, Result};

/// Path of the project file.
pub const FILE: &str = "todohost.toml";

/// Reads a file of the project; `None` if it does not exist.
pub type Read<'a> = &'a dyn Fn(&str) -> Result<Option<String>>;

/// The keys of the project file that rows need.
#[derive(Debug, Deserialize)]
pub struct Declared {
    pub app: App,
    /// The images to build, by name.
    #[serde(default)]
    pub images: BTreeMap<String, DeclaredImage>,
    /// Paths of secret values.
    #[serde(default)]
    pub secrets: BTreeMap<String, Value>,
    /// The plugin of each step.
    #[serde(default)]
    plugins: BTreeMap<String, Value>,
}

/// The table `[app]`.
#[derive(Debug, Deserialize)]
pub struct App {
    /// Path of the chart.
    pub chart: String,
}

/// A table below `[images]`.
#[derive(Debug, Deserialize)]
pub struct DeclaredImage {
    context: String,
    #[serde(default = "dockerfile")]
    dockerfile: String,
    stage: Option<String>,
    /// Values for `ARG`.
    #[serde(default)]
    pub arguments: Variables,
}

fn dockerfile() -> String {
    "Dockerfile".to_owned()
}

impl Declared {
    /// Reads the project file.
    ///
    /// # Errors
    /// If it does not exist or cannot be parsed.
    pub fn read(read: Read<'_>) -> Result<Self> {
        let text = read(FILE)?.ok_or_else(|| {
            Error::not_found("constitution.no-project", format!("the project has no {FILE}")).help(
                format!("rename the project file to {FILE}: this check reads it by that name"),
            )
        })?;
        toml::from_str(&text).map_err(|error| {
            Error::invalid_input("constitution.project", format!("{FILE} cannot be read"))
                .cause(error.message().to_owned())
        })
    }

    /// The renderer plugin, if it is not `helm`.
    pub fn other_renderer(&self) -> Option<&str> {
        let render = self.plugins.get("render")?;
        let id = render.as_str().or_else(|| render.get("plugin")?.as_str())?;
        (id != "helm").then_some(id)
    }
}

/// The facts for the rows of the phase `source`.
pub struct Project {
    /// The project file.
    pub declared: Declared,
    /// Sorted by name.
    pub images: Vec<Image>,
    /// The chart's `Chart.yaml`.
    pub description: Option<Document>,
    /// The chart's `values.yaml`.
    pub values: Option<Document>,
    /// Paths of all files below the chart and the build contexts.
    files: Vec<String>,
}

/// A YAML file, or why it cannot be parsed.
pub type Document = std::result::Result<Value, String>;

/// An image and its Dockerfile.
pub struct Image {
    /// Its name under `[images]`.
    pub name: String,
    /// The Dockerfile's path.
    pub path: String,
    pub dockerfile: std::result::Result<Dockerfile, Unreadable>,
    /// The files of the context that are sent to the builder, relative to the context.
    pub files: Vec<String>,
}

impl Project {
    /// Reads the files of a project that the rows check.
    ///
    /// # Errors
    /// If the project file cannot be read. Other unreadable files are reported as findings.
    pub fn read(files: Vec<String>, read: Read<'_>) -> Result<Self> {
        let declared = Declared::read(read)?;
        let images: Vec<Image> = declared
            .images
            .iter()
            .map(|(name, image)| Image::read(name, image, &files, read))
            .collect();
        let document = |name: &str| match read(&join(&declared.app.chart, name)) {
            Ok(None) => None,
            Ok(Some(text)) => Some(yaml(&text)),
            Err(error) => Some(Err(error.message)),
        };
        Ok(Self {
            images,
            description: document("Chart.yaml"),
            values: document("values.yaml"),
            files,
            declared,
        })
    }

    /// The project's path of a file of the chart.
    pub fn chart(&self, name: &str) -> String {
        join(&self.declared.app.chart, name)
    }

    /// Number of files below a directory of the project.
    pub fn count_below(&self, folder: &str) -> usize {
        below(&self.files, folder).count()
    }

    /// Images with a readable Dockerfile.
    pub fn dockerfiles(&self) -> impl Iterator<Item = (&Image, &Dockerfile)> {
        self.images.iter().filter_map(|image| Some((image, image.dockerfile.as_ref().ok()?)))
    }
}

impl Image {
    fn read(name: &str, declared: &DeclaredImage, files: &[String], read: Read<'_>) -> Self {
        let path = join(&declared.context, &declared.dockerfile);
        let dockerfile = match read(&path) {
            Ok(Some(text)) => {
                Dockerfile::read(&path, &text, declared.stage.as_deref(), &declared.arguments)
            }
            Ok(None) => Err(Unreadable { reason: "the file does not exist".to_owned() }),
            Err(error) => Err(Unreadable { reason: error.message }),
        };
        // A list next to the Dockerfile replaces that of the context.
        let ignored = [format!("{path}.dockerignore"), join(&declared.context, ".dockerignore")]
            .iter()
            .find_map(|path| read(path).ok().flatten())
            .map(|text| Ignore::read(&text))
            .unwrap_or_default();
        let files = below(files, &join("", &declared.context))
            .filter(|file| !ignored.ignores(file))
            .map(str::to_owned)
            .collect();
        Self { name: name.to_owned(), path, dockerfile, files }
    }

    /// The location of the Dockerfile.
    pub fn location(&self) -> Location {
        Location::file(&self.path)
    }
}

/// The files below a directory, relative to it.
fn below<'a>(files: &'a [String], folder: &'a str) -> impl Iterator<Item = &'a str> {
    files.iter().filter_map(move |path| {
        let path = path.trim_start_matches("./");
        match folder {
            "" => Some(path),
            folder => path.strip_prefix(folder)?.strip_prefix('/'),
        }
    })
}

/// Parses a YAML document like Helm does.
fn yaml(text: &str) -> Document {
    let options = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| error.to_string().lines().next().unwrap_or("malformed YAML").to_owned())
}

/// Joins and normalises two paths of the project file.
pub fn join(folder: &str, path: &str) -> String {
    let parts = folder.split('/').chain(path.split('/'));
    parts.filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(text: &str) -> Declared {
        let text = format!("[app]\nname = \"a\"\nnamespace = \"a\"\nchart = \"c\"\n{text}");
        Declared::read(&|_| Ok(Some(text.clone()))).unwrap()
    }

    #[test]
    fn renderer_is_helm_by_default() {
        assert_eq!(declared("").other_renderer(), None);
        assert_eq!(declared("[plugins]\nrender = \"helm\"\n").other_renderer(), None);
        assert_eq!(declared("[plugins]\nrender = \"k.wasm\"\n").other_renderer(), Some("k.wasm"));
        let table = declared("[plugins.render]\nplugin = \"k.wasm\"\noptions = {}\n");
        assert_eq!(table.other_renderer(), Some("k.wasm"));
    }

    #[test]
    fn missing_project_file_is_an_error() {
        let error = Declared::read(&|_| Ok(None)).unwrap_err();
        assert_eq!(error.code, "constitution.no-project");
    }

    #[test]
    fn joined_paths_are_normalised() {
        assert_eq!(join("./backend/", "Dockerfile"), "backend/Dockerfile");
        assert_eq!(join(".", "./build/api.Dockerfile"), "build/api.Dockerfile");
    }
}

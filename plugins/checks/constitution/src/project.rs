//! What is read of a project before anything of it is rendered: its file, recipes of images, and the chart.

use crate::ignore::Ignore;
use crate::place::Place;
use crate::recipe::{Recipe, Unreadable, Variables};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use todohost_plugin::{Error, Result};

/// Name of the project's file.
pub const FILE: &str = "todohost.toml";

/// Reads a file of the project; `None` where there is none.
pub type Read<'a> = &'a dyn Fn(&str) -> Result<Option<String>>;

/// What the project's file says, as far as a row asks.
#[derive(Debug, Deserialize)]
pub struct Declared {
    /// The app.
    pub app: App,
    /// What is built, by name.
    #[serde(default)]
    pub images: BTreeMap<String, DeclaredImage>,
    /// Paths of secret values.
    #[serde(default)]
    pub secrets: BTreeMap<String, Value>,
    /// Who takes which step.
    #[serde(default)]
    plugins: BTreeMap<String, Value>,
}

/// The app that is deployed.
#[derive(Debug, Deserialize)]
pub struct App {
    /// What is rendered.
    pub chart: String,
}

/// An image that is built.
#[derive(Debug, Deserialize)]
pub struct DeclaredImage {
    context: String,
    #[serde(default = "dockerfile")]
    dockerfile: String,
    stage: Option<String>,
    /// What is given for `ARG`.
    #[serde(default)]
    pub arguments: Variables,
}

fn dockerfile() -> String {
    "Dockerfile".to_owned()
}

impl Declared {
    /// Reads the project's file.
    ///
    /// # Errors
    /// When it is not there, or not a project's file.
    pub fn read(read: Read<'_>) -> Result<Self> {
        let text = read(FILE)?.ok_or_else(|| {
            Error::not_found("constitution.no-project", format!("the project has no {FILE}"))
                .help(format!("the rows are judged by {FILE}: call the project's file so"))
        })?;
        toml::from_str(&text).map_err(|error| {
            Error::invalid_input("constitution.project", format!("{FILE} cannot be read"))
                .cause(error.message().to_owned())
        })
    }

    /// The plugin that renders, where it is not the one for Helm's charts.
    pub fn other_renderer(&self) -> Option<&str> {
        let render = self.plugins.get("render")?;
        let id = render.as_str().or_else(|| render.get("plugin")?.as_str())?;
        (id != "helm").then_some(id)
    }
}

/// All that the rows of the phase `source` are judged by.
pub struct Project {
    /// What its file says.
    pub declared: Declared,
    /// In the order of their names.
    pub images: Vec<Image>,
    /// The chart's `Chart.yaml`.
    pub description: Option<Document>,
    /// The chart's `values.yaml`.
    pub values: Option<Document>,
    /// Paths of everything below the chart and the contexts.
    files: Vec<String>,
}

/// A YAML file, or why it is none.
pub type Document = std::result::Result<Value, String>;

/// An image and the recipe that it is built by.
pub struct Image {
    /// Its name in the project.
    pub name: String,
    /// The recipe's file.
    pub path: String,
    /// The recipe, or why there is none.
    pub recipe: std::result::Result<Recipe, Unreadable>,
    /// What the builder sees of the context, relative to it.
    pub files: Vec<String>,
}

impl Project {
    /// Reads what is judged of a project with these files.
    ///
    /// # Errors
    /// When the project's own file cannot be read; any other file is a matter of findings.
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

    /// A file of the chart.
    pub fn chart(&self, name: &str) -> String {
        join(&self.declared.app.chart, name)
    }

    /// How many files are below a folder of the project.
    pub fn count_below(&self, folder: &str) -> usize {
        below(&self.files, folder).count()
    }

    /// Images with a recipe that can be judged.
    pub fn recipes(&self) -> impl Iterator<Item = (&Image, &Recipe)> {
        self.images.iter().filter_map(|image| Some((image, image.recipe.as_ref().ok()?)))
    }
}

impl Image {
    fn read(name: &str, declared: &DeclaredImage, files: &[String], read: Read<'_>) -> Self {
        let path = join(&declared.context, &declared.dockerfile);
        let recipe = match read(&path) {
            Ok(Some(text)) => {
                Recipe::read(&path, &text, declared.stage.as_deref(), &declared.arguments)
            }
            Ok(None) => Err(Unreadable { reason: "there is no such file".to_owned() }),
            Err(error) => Err(Unreadable { reason: error.message }),
        };
        // The builder takes the recipe's own list where there is one.
        let ignored = [format!("{path}.dockerignore"), join(&declared.context, ".dockerignore")]
            .iter()
            .find_map(|path| read(path).ok().flatten())
            .map(|text| Ignore::read(&text))
            .unwrap_or_default();
        let files = below(files, &join("", &declared.context))
            .filter(|file| !ignored.leaves_out(file))
            .map(str::to_owned)
            .collect();
        Self { name: name.to_owned(), path, recipe, files }
    }

    /// The recipe as a place.
    pub fn place(&self) -> Place {
        Place::file(&self.path)
    }
}

/// Those files that are below a folder, relative to it.
fn below<'a>(files: &'a [String], folder: &'a str) -> impl Iterator<Item = &'a str> {
    files.iter().filter_map(move |path| {
        let path = path.trim_start_matches("./");
        match folder {
            "" => Some(path),
            folder => path.strip_prefix(folder)?.strip_prefix('/'),
        }
    })
}

/// A YAML document as Helm reads it.
fn yaml(text: &str) -> Document {
    let options = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| error.to_string().lines().next().unwrap_or("malformed YAML").to_owned())
}

/// A path below a folder, both as the project's file may write them.
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
    fn the_renderer_is_helm_unless_the_project_says_otherwise() {
        assert_eq!(declared("").other_renderer(), None);
        assert_eq!(declared("[plugins]\nrender = \"helm\"\n").other_renderer(), None);
        assert_eq!(declared("[plugins]\nrender = \"k.wasm\"\n").other_renderer(), Some("k.wasm"));
        let table = declared("[plugins.render]\nplugin = \"k.wasm\"\noptions = {}\n");
        assert_eq!(table.other_renderer(), Some("k.wasm"));
    }

    #[test]
    fn a_project_without_its_file_cannot_be_judged() {
        let error = Declared::read(&|_| Ok(None)).unwrap_err();
        assert_eq!(error.code, "constitution.no-project");
    }

    #[test]
    fn paths_are_joined_however_they_are_written() {
        assert_eq!(join("./backend/", "Dockerfile"), "backend/Dockerfile");
        assert_eq!(join(".", "./build/api.Dockerfile"), "build/api.Dockerfile");
    }
}

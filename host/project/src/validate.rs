//! Validation beyond the file's shape: names that are valid in a cluster, paths inside the project, templates.

use std::path::{Component, Path};

use super::error::ProjectError;
use super::source::{Position, Source};
use super::{Image, ProjectFile};
use todohost_model::field::FieldPattern;
use todohost_model::value_path::ValuePath;

/// Argument of `--target` for the best local cluster.
pub const AUTO: &str = "auto";

const TEMPLATE_FIELDS: [&str; 3] = ["name", "tag", "reference"];

struct Reader<'a> {
    source: &'a Source,
}

pub(super) fn validate(source: &Source, project: &ProjectFile) -> Result<(), ProjectError> {
    let reader = Reader { source };
    let app = &project.app;
    reader.label(&["app", "name"], &app.name, 53)?;
    reader.label(&["app", "namespace"], &app.namespace, 63)?;
    reader.path(&["app", "chart"], &app.chart)?;
    for (at, path) in app.values.iter().enumerate() {
        reader.path(&["app", "values", &at.to_string()], path)?;
    }
    for (name, image) in &project.images {
        reader.image(name, image)?;
    }
    for path in project.secrets.keys() {
        reader.value_path(&["secrets", path])?;
    }
    if project.targets.contains_key(AUTO) {
        let help = "choose another name: `--target auto` selects the best local cluster";
        return Err(reader.invalid_key(&["targets", AUTO], "the name is taken", help));
    }
    for (at, field) in project.apply.ignore.iter().enumerate() {
        if field.parse::<FieldPattern>().is_err() {
            let help = "write `.spec.replicas`, or `Deployment/web:.spec.replicas`";
            let key = ["apply", "ignore", &at.to_string()];
            return Err(reader.invalid(&key, field, "it is not a field", help));
        }
    }
    Ok(())
}

impl Reader<'_> {
    fn image(&self, name: &str, image: &Image) -> Result<(), ProjectError> {
        if !is_image_name(name) {
            let help = "use lower case letters, digits, `.`, `_`, `-` and `/`";
            return Err(self.invalid_key(
                &["images", name],
                "it is not the name of an image",
                help,
            ));
        }
        self.path(&["images", name, "context"], &image.context)?;
        self.path(&["images", name, "dockerfile"], &image.dockerfile)?;
        for (path, template) in &image.values {
            self.value_path(&["images", name, "values", path])?;
            if let Some(field) = unknown_field(template) {
                let help = "use {name}, {tag} or {reference}";
                let key = ["images", name, "values", path];
                let reason = "the template has an unknown field";
                return Err(self.invalid(&key, &format!("{{{field}}}"), reason, help));
            }
        }
        Ok(())
    }

    fn label(&self, key: &[&str], value: &str, longest: usize) -> Result<(), ProjectError> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let good = !value.is_empty()
            && value.len() <= longest
            && value.bytes().all(|byte| inner(byte) || byte == b'-')
            && value.bytes().next().is_some_and(inner)
            && value.bytes().last().is_some_and(inner);
        if good {
            return Ok(());
        }
        let help = format!("use at most {longest} lower case letters, digits and inner dashes");
        Err(self.invalid(key, value, "the name is not valid in a cluster", &help))
    }

    fn path(&self, key: &[&str], value: &str) -> Result<(), ProjectError> {
        let inside = Path::new(value)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if inside && !value.is_empty() {
            return Ok(());
        }
        let help = "write a path below the directory of todohost.toml, without `..`";
        Err(self.invalid(key, value, "the path leaves the project", help))
    }

    /// A key that is the path of a value.
    fn value_path(&self, key: &[&str]) -> Result<(), ProjectError> {
        let path = key.last().copied().unwrap_or_default();
        if ValuePath::parse(path).is_some_and(|path| path.is_plain()) {
            return Ok(());
        }
        let help = "write the keys with dots between them, e.g. `backend.image.tag`";
        Err(self.invalid_key(key, "it is not a value path", help))
    }

    fn invalid(&self, key: &[&str], value: &str, reason: &'static str, help: &str) -> ProjectError {
        self.invalid_at(&self.source.value(&owned(key)), key, value, reason, help)
    }

    /// The error for an invalid last key.
    fn invalid_key(&self, key: &[&str], reason: &'static str, help: &str) -> ProjectError {
        let (last, above) = key.split_last().unwrap_or((&"", &[]));
        self.invalid_at(&self.source.key(&owned(key)), above, last, reason, help)
    }

    fn invalid_at(
        &self,
        place: &Position,
        key: &[&str],
        value: &str,
        reason: &'static str,
        help: &str,
    ) -> ProjectError {
        ProjectError::Invalid {
            file: self.source.name.clone(),
            line: place.line,
            key: key.join("."),
            value: value.to_owned(),
            reason,
            text: self.source.shown(),
            place: place.span,
            help: help.to_owned(),
        }
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|&key| key.to_owned()).collect()
}

fn is_image_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.split('/').all(|part| {
        part.bytes().all(|byte| good(byte) || b"._-:".contains(&byte))
            && part.bytes().next().is_some_and(good)
            && part.bytes().last().is_some_and(good)
    })
}

/// The first `{field}` that an image does not have.
fn unknown_field(template: &str) -> Option<&str> {
    template
        .split('{')
        .skip(1)
        .map(|rest| rest.split_once('}').map_or(rest, |(field, _)| field))
        .find(|field| !TEMPLATE_FIELDS.contains(field))
}

//! What the shape of the file cannot say: names that a cluster takes, paths inside the project, templates.

use std::path::{Component, Path};

use miette::{NamedSource, SourceSpan};

use super::error::{ProjectError, line_of};
use super::{Image, ProjectFile};
use crate::field::FieldPattern;
use crate::values::ValuePath;

const TEMPLATE_FIELDS: [&str; 3] = ["name", "tag", "reference"];

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
}

pub(super) fn validate(file: &str, text: &str, project: &ProjectFile) -> Result<(), ProjectError> {
    let reader = Reader { file, text };
    let app = &project.app;
    reader.label("app.name", &app.name, 53)?;
    reader.label("app.namespace", &app.namespace, 63)?;
    reader.path("app.chart", &app.chart)?;
    for path in &app.values {
        reader.path("app.values", path)?;
    }
    for (name, image) in &project.images {
        reader.image(name, image)?;
    }
    for path in project.secrets.keys() {
        reader.value_path("secrets", path)?;
    }
    for field in &project.apply.ignore {
        if field.parse::<FieldPattern>().is_err() {
            let help = "write `.spec.replicas`, or `Deployment/web:.spec.replicas`".to_owned();
            return Err(reader.invalid("apply.ignore", field, "it names no field", help));
        }
    }
    Ok(())
}

impl Reader<'_> {
    fn image(&self, name: &str, image: &Image) -> Result<(), ProjectError> {
        let key = format!("images.{name}");
        if !is_image_name(name) {
            let help = "use lower case letters, digits, `.`, `_`, `-` and `/`".to_owned();
            return Err(self.invalid(&key, name, "it is not the name of an image", help));
        }
        self.path(&format!("{key}.context"), &image.context)?;
        self.path(&format!("{key}.dockerfile"), &image.dockerfile)?;
        for (path, template) in &image.values {
            self.value_path(&format!("{key}.values"), path)?;
            if let Some(field) = unknown_field(template) {
                let help = "use {name}, {tag} or {reference}".to_owned();
                let key = format!("{key}.values.{path}");
                let reason = "the template names a field that an image does not have";
                return Err(self.invalid(&key, &format!("{{{field}}}"), reason, help));
            }
        }
        Ok(())
    }

    fn label(&self, key: &str, value: &str, longest: usize) -> Result<(), ProjectError> {
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
        Err(self.invalid(key, value, "a cluster does not take this name", help))
    }

    fn path(&self, key: &str, value: &str) -> Result<(), ProjectError> {
        let inside = Path::new(value)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if inside && !value.is_empty() {
            return Ok(());
        }
        let help = "write a path below the directory of todohost.toml, without `..`".to_owned();
        Err(self.invalid(key, value, "the path leaves the project", help))
    }

    fn value_path(&self, key: &str, value: &str) -> Result<(), ProjectError> {
        if ValuePath::parse(value).is_some_and(|path| path.is_plain()) {
            return Ok(());
        }
        let help = "write the keys with dots between them, e.g. `backend.image.tag`".to_owned();
        Err(self.invalid(key, value, "it is not a value path", help))
    }

    fn invalid(&self, key: &str, value: &str, reason: &'static str, help: String) -> ProjectError {
        // The model keeps no places; the first place where the value is written is the one meant, but for
        // a value that is written twice.
        let start = self.text.find(&format!("\"{value}\"")).or_else(|| self.text.find(value));
        let start = start.unwrap_or(0);
        ProjectError::Invalid {
            file: self.file.to_owned(),
            line: line_of(self.text, start),
            key: key.to_owned(),
            value: value.to_owned(),
            reason,
            text: NamedSource::new(self.file, self.text.to_owned()).with_language("toml"),
            place: SourceSpan::from(start..start + value.len()),
            help,
        }
    }
}

fn is_image_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.split('/').all(|part| {
        part.bytes().all(|byte| good(byte) || b"._-:".contains(&byte))
            && part.bytes().next().is_some_and(good)
            && part.bytes().last().is_some_and(good)
    })
}

/// The first `{field}` that is none of an image's.
fn unknown_field(template: &str) -> Option<&str> {
    template
        .split('{')
        .skip(1)
        .map(|rest| rest.split_once('}').map_or(rest, |(field, _)| field))
        .find(|field| !TEMPLATE_FIELDS.contains(field))
}

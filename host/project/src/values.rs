//! The values of a deploy: the source of each value, and which values are secret.
//!
//! Owns the grammar of `--set` and related flags, the layers, and keeping secrets out of them. A component renders with
//! the values: it gets the same arguments, with placeholders for secrets.

mod assignment;
mod error;
mod merge;
mod secrets;

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Project;
use todohost_model::value_path::ValuePath;
use todohost_secrets::SecretValue;

pub use assignment::Assignment;
pub use error::ValuesError;
pub use merge::{coalesce, set_at};
pub use secrets::{Prompt, SecretArgument};

/// Maximum size of a values file.
const LONGEST_FILE: u64 = 16 * 1024 * 1024;

/// A value argument as the user typed it.
#[derive(Clone, PartialEq, Eq)]
pub enum ValueArgument {
    File(String),
    /// `--set PATH=VALUE,...`
    Set(String),
    /// `--set-string PATH=VALUE,...`
    SetString(String),
    /// `--set-json PATH=JSON`
    SetJson(String),
    /// `--set-file PATH=FILE`
    SetFile(String),
    /// `--secret PATH=env:NAME|file:PATH|prompt:`
    Secret(String),
}

/// One source of values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// A file's name or the argument.
    pub source: String,
    /// The values that the source sets.
    pub values: Value,
}

/// A values file as the renderer gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValuesFile {
    pub name: String,
    /// Its text.
    pub content: String,
}

/// All values of a deploy.
#[derive(Clone, Default)]
pub struct Values {
    /// The layers over the defaults, without secrets. A later layer overrides an earlier one.
    pub layers: Vec<Layer>,
    /// Values files, in order.
    pub files: Vec<ValuesFile>,
    /// `--set` arguments, without the secret ones.
    pub set: Vec<String>,
    /// `--set-string` arguments, without the secret ones.
    pub set_string: Vec<String>,
    /// `--set-json` arguments.
    pub set_json: Vec<String>,
    /// `--set-file` arguments with the files' contents.
    pub set_file: Vec<(String, Vec<u8>)>,
    /// The secrets that have a value, by path.
    pub secrets: Vec<(ValuePath, SecretValue)>,
    /// Paths of secrets that were typed on the command line, so that their values are in the shell's history.
    pub typed_secrets: Vec<String>,
}

impl Values {
    /// Gathers the project's values files and the arguments. Files of the project are relative to its root, files of
    /// arguments to `directory`.
    ///
    /// # Errors
    /// If a value is malformed or unreadable, or a secret is in the wrong place. Errors never contain a secret's value.
    pub fn gather(
        project: &Project,
        arguments: &[ValueArgument],
        directory: &Path,
        prompt: &dyn Prompt,
    ) -> Result<Self, ValuesError> {
        let secret_paths: Vec<ValuePath> =
            project.file.secrets.keys().filter_map(|path| ValuePath::parse(path)).collect();
        let mut gathered = Gatherer { secret_paths, directory, values: Self::default() };
        for file in &project.file.app.values {
            gathered.file(file, &project.root)?;
        }
        // The renderer applies the kinds in this order, independent of their order on the command line.
        for argument in arguments {
            if let ValueArgument::File(file) = argument {
                gathered.file(file, directory)?;
            }
        }
        for argument in arguments {
            if let ValueArgument::SetJson(text) = argument {
                gathered.set_json(text)?;
            }
        }
        for argument in arguments {
            if let ValueArgument::Set(text) = argument {
                gathered.set(text)?;
            }
        }
        for argument in arguments {
            if let ValueArgument::SetString(text) = argument {
                gathered.set_string(text)?;
            }
        }
        for argument in arguments {
            match argument {
                ValueArgument::SetFile(text) => gathered.set_file(text)?,
                ValueArgument::Secret(text) => gathered.secret(text, prompt)?,
                _ => {}
            }
        }
        Ok(gathered.values)
    }

    /// Sets a value of the host, e.g. an image's name. It overrides the user's values.
    pub fn set_own(&mut self, path: &ValuePath, value: &str, source: &str) {
        self.set_string.push(format!("{path}={}", assignment::escape(value)));
        let mut values = Value::Object(Map::new());
        set_at(&mut values, path, Value::String(value.to_owned()));
        self.layers.push(Layer { source: source.to_owned(), values });
    }

    /// Checks that all required secrets of `project` have a value that is not empty.
    ///
    /// # Errors
    /// `SecretsMissing` with the paths of all missing secrets.
    pub fn require_secrets(&self, project: &Project) -> Result<(), ValuesError> {
        let present = |wanted: &str| {
            self.secrets
                .iter()
                .any(|(path, value)| path.to_string() == wanted && !value.expose().is_empty())
        };
        let missing: Vec<String> = project
            .file
            .secrets
            .iter()
            .filter(|(path, secret)| secret.required && !present(path))
            .map(|(path, _)| path.clone())
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(ValuesError::secrets_missing(&missing)) }
    }

    /// The values after merging all layers into `defaults`. `secret` returns the text for each secret.
    pub fn effective(
        &self,
        defaults: &Value,
        secret: impl Fn(&ValuePath, &SecretValue) -> Option<String>,
    ) -> Value {
        let mut effective = defaults.clone();
        for layer in &self.layers {
            coalesce(&mut effective, &layer.values);
        }
        for (path, value) in &self.secrets {
            if let Some(text) = secret(path, value) {
                set_at(&mut effective, path, Value::String(text));
            }
        }
        effective
    }
}

struct Gatherer<'a> {
    secret_paths: Vec<ValuePath>,
    directory: &'a Path,
    values: Values,
}

impl Gatherer<'_> {
    fn file(&mut self, name: &str, base: &Path) -> Result<(), ValuesError> {
        let content = read_text(&base.join(name), name)?;
        let values = parse_yaml(&content)
            .map_err(|reason| ValuesError::File { file: name.to_owned(), reason })?;
        let values = match values {
            Value::Null => Value::Object(Map::new()),
            map @ Value::Object(_) => map,
            _ => {
                let reason = "it is not a map of values".to_owned();
                return Err(ValuesError::File { file: name.to_owned(), reason });
            }
        };
        for path in &self.secret_paths {
            // An empty string or null is not a secret value.
            if path.get(&values).is_some_and(|value| !value.is_null() && value != "") {
                return Err(ValuesError::SecretInFile {
                    path: path.to_string(),
                    file: name.to_owned(),
                });
            }
        }
        self.values.layers.push(Layer { source: name.to_owned(), values });
        self.values.files.push(ValuesFile { name: name.to_owned(), content });
        Ok(())
    }

    fn set(&mut self, text: &str) -> Result<(), ValuesError> {
        if self.whole_secret("--set", text)? {
            return Ok(());
        }
        self.assignments("--set", text, Assignment::parse_typed)?;
        self.values.set.push(text.to_owned());
        Ok(())
    }

    fn set_string(&mut self, text: &str) -> Result<(), ValuesError> {
        if self.whole_secret("--set-string", text)? {
            return Ok(());
        }
        self.assignments("--set-string", text, Assignment::parse_strings)?;
        self.values.set_string.push(text.to_owned());
        Ok(())
    }

    fn set_json(&mut self, text: &str) -> Result<(), ValuesError> {
        self.assignments("--set-json", text, Assignment::parse_json)?;
        self.values.set_json.push(text.to_owned());
        Ok(())
    }

    fn set_file(&mut self, text: &str) -> Result<(), ValuesError> {
        let (path, file) = split(text, "--set-file", "PATH=FILE")?;
        self.refuse_secret("--set-file", &path)?;
        let bytes = read_bytes(&self.directory.join(file), file)?;
        let mut values = Value::Object(Map::new());
        set_at(&mut values, &path, Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        self.values.layers.push(Layer { source: format!("--set-file {text}"), values });
        self.values.set_file.push((path.to_string(), bytes));
        Ok(())
    }

    fn secret(&mut self, text: &str, prompt: &dyn Prompt) -> Result<(), ValuesError> {
        let (path, source) = split(text, "--secret", "PATH=env:NAME|file:PATH|prompt:")?;
        let known = self.secret_paths.contains(&path);
        if !known {
            let known: Vec<String> = self.secret_paths.iter().map(ToString::to_string).collect();
            return Err(ValuesError::unknown_secret(&path.to_string(), &known));
        }
        let value = SecretArgument::parse(&path, source)?.read(self.directory, prompt)?;
        self.keep_secret(path, value);
        Ok(())
    }

    /// Takes `PATH=VALUE` as a secret, with the literal value, if PATH is a secret.
    fn whole_secret(&mut self, flag: &str, text: &str) -> Result<bool, ValuesError> {
        let Some((path, value)) = text.split_once('=') else { return Ok(false) };
        let Some(path) = ValuePath::parse(path) else { return Ok(false) };
        if !self.secret_paths.contains(&path) {
            return Ok(false);
        }
        // In --set, `\,` stands for a comma; taken literally, it would silently change the secret.
        if value.contains("\\,") {
            return Err(ValuesError::EscapedSecret {
                flag: flag.to_owned(),
                path: path.to_string(),
            });
        }
        self.values.typed_secrets.push(path.to_string());
        self.keep_secret(path, SecretValue::new(value.to_owned()));
        Ok(true)
    }

    fn keep_secret(&mut self, path: ValuePath, value: SecretValue) {
        self.values.secrets.retain(|(known, _)| *known != path);
        self.values.secrets.push((path, value));
    }

    fn assignments(
        &mut self,
        flag: &str,
        text: &str,
        parse: fn(&str) -> Result<Vec<Assignment>, String>,
    ) -> Result<(), ValuesError> {
        // The argument may contain a secret under a mistyped path, so errors repeat only its path.
        let shown = without_value(text);
        let assignments = parse(text).map_err(|reason| ValuesError::Malformed {
            flag: flag.to_owned(),
            argument: shown,
            reason,
        })?;
        for Assignment { path, value } in assignments {
            self.refuse_secret(flag, &path)?;
            let mut values = Value::Object(Map::new());
            set_at(&mut values, &path, value);
            self.values.layers.push(Layer { source: format!("{flag} {path}"), values });
        }
        Ok(())
    }

    fn refuse_secret(&self, flag: &str, path: &ValuePath) -> Result<(), ValuesError> {
        match self.secret_paths.iter().find(|secret| secret.overlaps(path)) {
            None => Ok(()),
            Some(secret) => Err(ValuesError::SecretMisplaced {
                flag: flag.to_owned(),
                path: secret.to_string(),
            }),
        }
    }
}

/// An argument without its value.
fn without_value(text: &str) -> String {
    match text.split_once('=') {
        Some((path, _)) => format!("{path}=..."),
        None => text.chars().take(60).collect(),
    }
}

fn split<'a>(text: &'a str, flag: &str, shape: &str) -> Result<(ValuePath, &'a str), ValuesError> {
    let malformed = |reason: String| ValuesError::Malformed {
        flag: flag.to_owned(),
        argument: without_value(text),
        reason,
    };
    let (path, rest) = text
        .split_once('=')
        .ok_or_else(|| malformed(format!("it has no `=`, expected {shape}")))?;
    let path =
        ValuePath::parse(path).ok_or_else(|| malformed(format!("`{path}` is not a value path")))?;
    Ok((path, rest))
}

fn read_bytes(path: &Path, name: &str) -> Result<Vec<u8>, ValuesError> {
    let unreadable = |source| ValuesError::Unreadable { file: name.to_owned(), source };
    let size = fs_err::metadata(path).map_err(unreadable)?.len();
    if size > LONGEST_FILE {
        let reason = format!("it has {size} bytes, more than {LONGEST_FILE}");
        return Err(ValuesError::File { file: name.to_owned(), reason });
    }
    fs_err::read(path).map_err(unreadable)
}

fn read_text(path: &Path, name: &str) -> Result<String, ValuesError> {
    String::from_utf8(read_bytes(path, name)?).map_err(|_| ValuesError::File {
        file: name.to_owned(),
        reason: "it is not UTF-8 text".to_owned(),
    })
}

/// Parses YAML like the renderer, by YAML 1.1: `on` is true and `0644` is octal.
///
/// # Errors
/// The reason, in one line.
pub fn parse_yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| error.to_string().lines().next().unwrap_or("malformed YAML").to_owned())
}

#[cfg(test)]
mod tests;

//! Where a secret's value comes from: `--secret PATH=env:NAME|file:PATH|prompt:`.

use std::path::Path;

use super::error::ValuesError;
use todohost_model::value_path::ValuePath;
use todohost_secrets::SecretValue;

/// Asks the surroundings for a secret.
pub trait Prompt {
    /// Reads a line without showing it; `None` where nobody can be asked.
    fn ask(&self, question: &str) -> Option<String>;
    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;
}

/// A `--secret` argument, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretArgument {
    path: String,
    source: Source,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Variable(String),
    File(String),
    Prompt,
}

impl SecretArgument {
    /// Reads what follows `PATH=`.
    ///
    /// # Errors
    /// Where it names no source. The text is not repeated: it may be the secret itself.
    pub fn parse(path: &ValuePath, source: &str) -> Result<Self, ValuesError> {
        let source = match source.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Source::Variable(name.to_owned()),
            Some(("file", file)) if !file.is_empty() => Source::File(file.to_owned()),
            Some(("prompt", "")) => Source::Prompt,
            _ => return Err(ValuesError::SecretSource { path: path.to_string() }),
        };
        Ok(Self { path: path.to_string(), source })
    }

    /// Gets the value. One line end at the end of a file is not part of it.
    ///
    /// # Errors
    /// Where the source has none.
    pub fn read(&self, directory: &Path, prompt: &dyn Prompt) -> Result<SecretValue, ValuesError> {
        let path = self.path.clone();
        let text = match &self.source {
            Source::Variable(name) => prompt
                .variable(name)
                .ok_or(ValuesError::SecretVariable { path, name: name.clone() })?,
            Source::Prompt => {
                prompt.ask(&format!("{path}: ")).ok_or(ValuesError::SecretPrompt { path })?
            }
            Source::File(file) => {
                let mut text = super::read_text(&directory.join(file), file)?;
                if text.ends_with('\n') {
                    text.pop();
                    if text.ends_with('\r') {
                        text.pop();
                    }
                }
                text
            }
        };
        Ok(SecretValue::new(text))
    }
}

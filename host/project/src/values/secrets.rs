//! Sources of secret values: `--secret PATH=env:NAME|file:PATH|prompt:`.

use std::path::Path;

use super::error::ValuesError;
use todohost_model::value_path::ValuePath;
use todohost_secrets::SecretValue;

/// Reads secrets from the terminal or the environment.
pub trait Prompt {
    /// Reads a line without showing it; `None` without a terminal.
    fn ask(&self, question: &str) -> Option<String>;
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;
}

/// A parsed `--secret` argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretArgument {
    path: String,
    source: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Variable(String),
    File(String),
    Prompt,
}

impl SecretArgument {
    /// Parses the text after `PATH=`.
    ///
    /// # Errors
    /// If the source is missing or unknown. The error does not repeat the text, because it may be the secret.
    pub fn parse(path: &ValuePath, source: &str) -> Result<Self, ValuesError> {
        let source = match source.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Origin::Variable(name.to_owned()),
            Some(("file", file)) if !file.is_empty() => Origin::File(file.to_owned()),
            Some(("prompt", "")) => Origin::Prompt,
            _ => return Err(ValuesError::SecretSource { path: path.to_string() }),
        };
        Ok(Self { path: path.to_string(), source })
    }

    /// Reads the value. A line break at the end of a file is not part of it.
    ///
    /// # Errors
    /// If the source has no value.
    pub fn read(&self, directory: &Path, prompt: &dyn Prompt) -> Result<SecretValue, ValuesError> {
        let path = self.path.clone();
        let text = match &self.source {
            Origin::Variable(name) => prompt
                .variable(name)
                .ok_or(ValuesError::SecretVariable { path, name: name.clone() })?,
            Origin::Prompt => {
                prompt.ask(&format!("{path}: ")).ok_or(ValuesError::SecretPrompt { path })?
            }
            Origin::File(file) => {
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

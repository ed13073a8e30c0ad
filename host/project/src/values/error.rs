//! Errors of values. They never repeat a value, because it may be a secret under a mistyped path.

use miette::Diagnostic;
use thiserror::Error;

use todohost_model::exit::Exit;
use todohost_model::suggestion::suggestion;

/// An error of the values of a deploy.
#[derive(Debug, Error, Diagnostic)]
pub enum ValuesError {
    /// An argument does not follow the grammar.
    #[error("malformed {flag} {argument}: {reason}")]
    #[diagnostic(
        code(todohost::values::malformed),
        help(
            "write {flag} PATH=VALUE, e.g. --set backend.replicaCount=2; a comma inside a value is written `\\,`"
        )
    )]
    Malformed {
        flag: String,
        /// The argument without its value.
        argument: String,
        reason: String,
    },
    /// A file cannot be read.
    #[error("cannot read {file}")]
    #[diagnostic(code(todohost::values::unreadable), help("check the path and its permissions"))]
    Unreadable {
        file: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A values file is malformed.
    #[error("cannot use values file {file}: {reason}")]
    #[diagnostic(
        code(todohost::values::file),
        help("write it as a YAML map, like the chart's own values")
    )]
    File { file: String, reason: String },
    /// A required secret has no value.
    #[error("{message}")]
    #[diagnostic(code(todohost::secret::missing))]
    SecretsMissing {
        /// The message, with the paths of the secrets.
        message: String,
        /// The flags that give the secrets.
        #[help]
        help: String,
    },
    /// A values file holds a secret.
    #[error("values file {file} holds the secret {path}")]
    #[diagnostic(
        code(todohost::secret::in_file),
        help(
            "remove it from the file and set it with --secret {path}=env:NAME or --secret {path}=file:PATH"
        )
    )]
    SecretInFile {
        /// The secret's path.
        path: String,
        file: String,
    },
    /// A secret is set together with other values, so it cannot be kept out of them.
    #[error("{flag} cannot set the secret {path} in this way")]
    #[diagnostic(
        code(todohost::secret::misplaced),
        help("set it alone: --set {path}=VALUE, or better --secret {path}=env:NAME")
    )]
    SecretMisplaced {
        flag: String,
        /// The secret's path.
        path: String,
    },
    /// A secret has the escapes of --set.
    #[error(
        "{flag} {path}=...: the value contains `\\,`, but the values of secrets are taken literally"
    )]
    #[diagnostic(
        code(todohost::secret::escaped),
        help(
            "write the secret without backslashes before commas; if they are part of it, use --secret {path}=env:NAME"
        )
    )]
    EscapedSecret {
        flag: String,
        /// The secret's path.
        path: String,
    },
    /// The path of `--secret` is not a secret of the project.
    #[error("--secret {path}=...: todohost.toml has no such secret")]
    #[diagnostic(code(todohost::secret::unknown))]
    SecretUnknown {
        path: String,
        /// The most similar secret.
        #[help]
        help: String,
    },
    /// `--secret` has no valid source.
    #[error("--secret {path}=...: the source of the value is missing")]
    #[diagnostic(
        code(todohost::secret::source),
        help(
            "write --secret {path}=env:NAME, --secret {path}=file:PATH or --secret {path}=prompt:"
        )
    )]
    SecretSource { path: String },
    /// The environment variable is not set.
    #[error("--secret {path}=env:{name}: the environment has no variable {name}")]
    #[diagnostic(code(todohost::secret::variable), help("export {name}=..."))]
    SecretVariable {
        path: String,
        /// The variable.
        name: String,
    },
    /// The process has no terminal for the prompt.
    #[error("--secret {path}=prompt:: cannot prompt without a terminal")]
    #[diagnostic(
        code(todohost::secret::prompt),
        help("without a terminal use --secret {path}=env:NAME or --secret {path}=file:PATH")
    )]
    SecretPrompt { path: String },
}

impl ValuesError {
    /// Exit code of a run that ends with this error.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Malformed { .. } | Self::Unreadable { .. } | Self::File { .. } => Exit::Usage,
            _ => Exit::Secret,
        }
    }

    pub(super) fn secrets_missing(paths: &[String]) -> Self {
        let message = match paths {
            [path] => format!("secret {path} is required and has no value"),
            paths => format!("secrets {} are required and have no value", paths.join(", ")),
        };
        let flags: Vec<String> =
            paths.iter().map(|path| format!("--secret {path}=env:NAME")).collect();
        let help = format!("add {} (or --set PATH=VALUE)", flags.join(" "));
        Self::SecretsMissing { message, help }
    }

    pub(super) fn unknown_secret(path: &str, known: &[String]) -> Self {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        Self::SecretUnknown { path: path.to_owned(), help: suggestion(path, &known) }
    }
}

//! Why values cannot be used. No error repeats a value: it may be a secret under a mistyped path.

use miette::Diagnostic;
use thiserror::Error;

use todohost_model::exit::Exit;
use todohost_model::suggestion::suggestion;

/// Why values cannot be used.
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
        /// The flag.
        flag: String,
        /// The argument without its value.
        argument: String,
        /// What is wrong.
        reason: String,
    },
    /// A file cannot be read.
    #[error("cannot read {file}")]
    #[diagnostic(code(todohost::values::unreadable), help("check the path and its permissions"))]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A values file is not one.
    #[error("values file {file} cannot be used: {reason}")]
    #[diagnostic(
        code(todohost::values::file),
        help("write it as a YAML map, like the chart's own values")
    )]
    File {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A required secret has no value.
    #[error("{message}")]
    #[diagnostic(code(todohost::secret::missing))]
    SecretsMissing {
        /// Names them.
        message: String,
        /// How to give them.
        #[help]
        help: String,
    },
    /// A values file holds a secret.
    #[error("values file {file} holds the secret {path}")]
    #[diagnostic(
        code(todohost::secret::in_file),
        help(
            "take it out of the file and give it with --secret {path}=env:NAME or --secret {path}=file:PATH"
        )
    )]
    SecretInFile {
        /// Its path.
        path: String,
        /// The file.
        file: String,
    },
    /// A secret is given in a way in which it cannot be kept apart.
    #[error("{flag} may not set {path}, which is secret, in this way")]
    #[diagnostic(
        code(todohost::secret::misplaced),
        help("give it alone: --set {path}=VALUE, or better --secret {path}=env:NAME")
    )]
    SecretMisplaced {
        /// The flag.
        flag: String,
        /// The secret's path.
        path: String,
    },
    /// A secret was written with the escapes of --set.
    #[error("{flag} {path}=...: the value has `\\,` in it, which for a secret is taken literally")]
    #[diagnostic(
        code(todohost::secret::escaped),
        help(
            "write the secret as it is, without backslashes before commas; if they belong to it, use --secret {path}=env:NAME"
        )
    )]
    EscapedSecret {
        /// The flag.
        flag: String,
        /// The secret's path.
        path: String,
    },
    /// `--secret` names a path that is not secret.
    #[error("--secret {path}=...: todohost.toml knows no such secret")]
    #[diagnostic(code(todohost::secret::unknown))]
    SecretUnknown {
        /// The path.
        path: String,
        /// The likely one.
        #[help]
        help: String,
    },
    /// `--secret` names no source.
    #[error("--secret {path}=...: it does not say where the value comes from")]
    #[diagnostic(
        code(todohost::secret::source),
        help(
            "write --secret {path}=env:NAME, --secret {path}=file:PATH or --secret {path}=prompt:"
        )
    )]
    SecretSource {
        /// The path.
        path: String,
    },
    /// The variable is not there.
    #[error("--secret {path}=env:{name}: the environment has no variable {name}")]
    #[diagnostic(code(todohost::secret::variable), help("export {name}=..."))]
    SecretVariable {
        /// The path.
        path: String,
        /// The variable.
        name: String,
    },
    /// Nobody can be asked.
    #[error("--secret {path}=prompt:: there is no terminal to ask on")]
    #[diagnostic(
        code(todohost::secret::prompt),
        help("without a terminal use --secret {path}=env:NAME or --secret {path}=file:PATH")
    )]
    SecretPrompt {
        /// The path.
        path: String,
    },
}

impl ValuesError {
    /// Exit code of a run that ends with it.
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

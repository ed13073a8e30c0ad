//! Secret values: kept here, named by placeholders everywhere else.
//!
//! Owns the vault: placeholders for the renderer, tokens for values that components read from the cluster,
//! substitution on the way to the API server, the double-render rule, and redaction of text.
//! It knows neither the sources of values (`project`) nor the components that may read one (`runtime`).

mod compare;
mod needles;
mod placeholder;
mod substitute;

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use indexmap::IndexMap;
use miette::Diagnostic;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

pub use compare::{SecretFault, SecretFinding};
pub use placeholder::Nonce;

use todohost_model::exit::Exit;

/// A secret's text: wiped when dropped, and neither printed nor serialised.
#[derive(Clone)]
pub struct SecretValue(SecretString);

impl SecretValue {
    /// Takes a value over.
    pub fn new(value: String) -> Self {
        Self(SecretString::from(value))
    }

    /// The value itself, for those that may have it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// An empty value stays empty everywhere.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

/// The key of a release's hashes, stored with it in the cluster, so that two laptops agree.
#[derive(Clone)]
pub struct Salt(Zeroizing<[u8; 32]>);

impl Salt {
    /// A new one from the operating system's randomness.
    ///
    /// # Errors
    /// If the operating system has no random numbers.
    pub fn random() -> Result<Self, SecretError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| SecretError::Randomness)?;
        Ok(Self::from_bytes(bytes))
    }

    /// One that was kept.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, to store the salt and to seed values that must agree between two renders.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A secret is in a forbidden place, or does not fit its place.
#[derive(Debug, Error, Diagnostic)]
pub enum SecretError {
    /// A placeholder outside of a Secret reached the way to the cluster.
    #[error("secret {path} leaks into {object} {place}")]
    #[diagnostic(
        code(todohost::secret::leak),
        help(
            "use the secret only in the data of a Secret, and refer to that by secretKeyRef or a volume"
        )
    )]
    Leak {
        /// Value path of the secret.
        path: String,
        /// The place.
        object: String,
        /// JSON pointer in it.
        place: String,
    },
    /// A value does not fit its place.
    #[error("secret {path} cannot be put into {object} {place}: {reason}")]
    #[diagnostic(
        code(todohost::secret::unfit),
        help("give the secret a key of its own in the Secret")
    )]
    Unfit {
        /// Value path of the secret.
        path: String,
        /// The place.
        object: String,
        /// JSON pointer in it.
        place: String,
        /// Why.
        reason: &'static str,
    },
    /// The operating system gives no randomness.
    #[error("the operating system gives no random bytes")]
    #[diagnostic(code(todohost::secret::randomness))]
    Randomness,
}

impl SecretError {
    /// Exit code of a run that ends with it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Leak { .. } | Self::Unfit { .. } => Exit::Secret,
            Self::Randomness => Exit::Internal,
        }
    }
}

/// Holds all secret values. Shared by reference; it has its own locks.
pub struct Vault {
    salt: Salt,
    contents: RwLock<Contents>,
}

#[derive(Default)]
struct Contents {
    secrets: IndexMap<String, Entry>,
    /// The values behind tokens, read from the cluster.
    tokens: HashMap<String, Zeroizing<Vec<u8>>>,
    needles: needles::Needles,
    /// The same for the release's own Secrets.
    guarded: needles::Needles,
}

struct Entry {
    value: SecretValue,
    first: String,
    second: String,
}

impl Vault {
    /// An empty vault.
    pub fn new(salt: Salt) -> Self {
        Self { salt, contents: RwLock::default() }
    }

    /// Keeps the value of the secret at a value path, e.g. `secrets.databaseUrl`; a later one replaces it.
    pub fn insert(&self, path: &str, value: SecretValue) {
        let (first, second) = placeholder::pair(&self.salt, path, &value);
        let mut contents = self.write();
        contents.secrets.insert(path.to_owned(), Entry { value, first, second });
        let values: Vec<_> = contents
            .secrets
            .iter()
            .map(|(path, entry)| (path.clone(), entry.value.clone()))
            .collect();
        contents.needles = needles::Needles::of(&values);
    }

    /// The placeholder that components get: `None` without a value, empty for an empty one.
    pub fn placeholder(&self, path: &str, nonce: Nonce) -> Option<String> {
        let contents = self.read();
        let entry = contents.secrets.get(path)?;
        Some(entry.placeholder(nonce).to_owned())
    }

    /// The value itself, for the values check and for components to which it was revealed.
    pub fn value(&self, path: &str) -> Option<SecretValue> {
        self.read().secrets.get(path).map(|entry| entry.value.clone())
    }

    /// Value paths of all secrets that have a value.
    pub fn paths(&self) -> Vec<String> {
        self.read().secrets.keys().cloned().collect()
    }

    /// `text` without any secret: values and their usual encodings become `[secret PATH]`, placeholders too.
    pub fn redact(&self, text: &str) -> String {
        let contents = self.read();
        let mut clean = contents.needles.redact(text);
        for (path, entry) in &contents.secrets {
            for form in [&entry.first, &entry.second] {
                if !form.is_empty() && clean.contains(form.as_str()) {
                    clean = clean.replace(form.as_str(), &format!("[secret {path}]"));
                }
            }
        }
        clean
    }

    /// Registers the values of Secrets in the cluster, by name, so that they are redacted in the app's output even if the
    /// user gave none: for `rollback` and `delete`, and for replaced values.
    pub fn guard(&self, values: &[(String, SecretValue)]) {
        self.write().guarded = needles::Needles::of(values);
    }

    /// Redacts the output of an app: as [`Vault::redact`], and also the values of its Secrets. Short values may be ordinary
    /// words, e.g. a user's name, and stay.
    pub fn redact_output(&self, text: &str) -> String {
        let clean = self.redact(text);
        self.read().guarded.redact_long(&clean).unwrap_or(clean)
    }

    /// Host and port of a secret URL; `None` if it is not a URL with a host.
    ///
    /// A grant may name the secret by the last step of its path: `databaseUrl` for `secrets.databaseUrl`.
    pub fn connect_host(&self, secret: &str) -> Option<(String, u16)> {
        let paths = self.paths();
        let ends = |path: &&String| path.rsplit('.').next() == Some(secret);
        let mut named = paths.iter().filter(ends);
        let whole = paths.iter().find(|path| *path == secret);
        let ((Some(path), _, _) | (None, Some(path), None)) = (whole, named.next(), named.next())
        else {
            return None;
        };
        let value = self.value(path)?;
        let url = url::Url::parse(value.expose()).ok()?;
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let scheme = url.scheme().split('+').next().unwrap_or_default();
        let port = url.port_or_known_default().or_else(|| default_port(scheme))?;
        Some((host, port))
    }

    // A panic while the lock was held cannot leave the maps half-changed in a way that matters.
    fn read(&self) -> RwLockReadGuard<'_, Contents> {
        self.contents.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Contents> {
        self.contents.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn placeholder(&self, nonce: Nonce) -> &str {
        match nonce {
            Nonce::First => &self.first,
            Nonce::Second => &self.second,
        }
    }
}

/// Ports of schemes that URLs without a port name, beyond those of the web.
fn default_port(scheme: &str) -> Option<u16> {
    Some(match scheme {
        "postgres" | "postgresql" => 5432,
        "mysql" | "mariadb" => 3306,
        "redis" => 6379,
        "rediss" => 6380,
        "amqp" => 5672,
        "amqps" => 5671,
        "mongodb" => 27017,
        "nats" => 4222,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(secrets: &[(&str, &str)]) -> Vault {
        let vault = Vault::new(Salt::from_bytes([1; 32]));
        for (path, value) in secrets {
            vault.insert(path, SecretValue::new((*value).to_owned()));
        }
        vault
    }

    #[test]
    fn a_secret_url_names_host_and_port() {
        let vault = vault(&[
            (
                "secrets.databaseUrl",
                "postgresql+asyncpg://todo:p%40ss@db.example/todo?sslmode=require",
            ),
            ("secrets.cache", "redis://[::1]:7000/0"),
            ("a.same", "http://one"),
            ("b.same", "https://two"),
            ("secrets.plain", "no url at all"),
        ]);
        assert_eq!(vault.connect_host("databaseUrl"), Some(("db.example".to_owned(), 5432)));
        assert_eq!(
            vault.connect_host("secrets.databaseUrl"),
            Some(("db.example".to_owned(), 5432))
        );
        assert_eq!(vault.connect_host("cache"), Some(("::1".to_owned(), 7000)));
        assert_eq!(vault.connect_host("same"), None, "it is not clear which");
        assert_eq!(vault.connect_host("b.same"), Some(("two".to_owned(), 443)));
        assert_eq!(vault.connect_host("plain"), None);
        assert_eq!(vault.connect_host("absent"), None);
    }

    #[test]
    fn absent_and_empty_values_differ() {
        let vault = vault(&[("secrets.empty", "")]);
        assert_eq!(vault.placeholder("secrets.empty", Nonce::First).as_deref(), Some(""));
        assert_eq!(vault.placeholder("secrets.absent", Nonce::First), None);
        assert_eq!(vault.paths(), ["secrets.empty"]);
    }

    #[test]
    fn placeholders_are_redacted_too() {
        let vault = vault(&[("secrets.a", "the value of it")]);
        let form = vault.placeholder("secrets.a", Nonce::Second).unwrap_or_default();
        assert_eq!(
            vault.redact(&format!("set {form} or the value of it")),
            "set [secret secrets.a] or [secret secrets.a]"
        );
    }

    #[test]
    fn values_of_the_cluster_are_redacted_only_in_output_of_apps() {
        let vault = vault(&[("secrets.a", "given value")]);
        let held = |key: &str, value: &str| {
            (format!("Secret/web {key}"), SecretValue::new(value.to_owned()))
        };
        vault.guard(&[held("PASSWORD", "hunter2-hunter2"), held("USER", "ada")]);
        let text = "ada gave hunter2-hunter2 and given value";
        assert_eq!(
            vault.redact_output(text),
            "ada gave [secret Secret/web PASSWORD] and [secret secrets.a]"
        );
        assert_eq!(vault.redact(text), "ada gave hunter2-hunter2 and [secret secrets.a]");
    }

    #[test]
    fn a_new_value_replaces_the_old_one() {
        let vault = vault(&[("secrets.a", "old value"), ("secrets.a", "new value")]);
        assert_eq!(vault.redact("old value, new value"), "old value, [secret secrets.a]");
        assert_eq!(
            vault.value("secrets.a").map(|value| value.expose().to_owned()).as_deref(),
            Some("new value")
        );
    }
}

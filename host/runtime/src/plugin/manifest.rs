//! The manifest of a plugin: identity, options schema and requests.
//!
//! Owns the manifest's shape and its validation. A manifest is untrusted: it grants nothing, and the roles of a
//! component are read from its exports.

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use todohost_model::option_mistake::OptionMistake;

use crate::capability::Capability;

/// Name of the custom section that carries the manifest.
pub const SECTION: &str = "todohost:manifest";
/// Variable of a grant: the secret that the option `secret` names.
pub const NAMED_SECRET: &str = "$secret";
const MAX_MANIFEST_BYTES: usize = 256 * 1024;
const MAX_ENTRIES: usize = 256;

/// A plugin's description by its author.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// Letters, digits and dashes.
    pub id: String,
    /// Version of the plugin, not of the contract.
    pub version: semver::Version,
    /// Description of one line.
    #[serde(default)]
    pub description: String,
    /// The options that the plugin takes.
    #[serde(default)]
    pub options: Options,
    /// The permissions that the plugin needs.
    #[serde(default)]
    pub requests: Requests,
}

/// The description of a plugin's options.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// A JSON Schema, as a JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

/// Permissions in detail. Requests and grants have the same shape.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Requests {
    /// Globs relative to the project; `$chart` stands for the chart's directory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workspace_read: Vec<String>,
    /// Globs of the user's files; `~` stands for the home directory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub user_files_read: Vec<String>,
    /// Objects of the cluster that the plugin reads.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster_read: Vec<ClusterScope>,
    /// Objects of the cluster that the plugin writes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster_write: Vec<ClusterScope>,
    /// `host:port` patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http_allow: Vec<String>,
    /// `host:port`, or `secret:PATH` for the host named inside that secret; `secret:$secret` as with `reveal`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tcp_connect: Vec<String>,
    /// `secret:PATH` for the host named inside that secret, connected to from a pod that the host makes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tcp_connect_from_cluster: Vec<String>,
    /// Value paths of secrets that are revealed to the plugin. `$secret` stands for the single path (not a pattern) in the
    /// option `secret`, or for that option's default in the schema.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reveal: Vec<String>,
    /// Programs with the shapes of their arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub process_exec: Vec<ProcessScope>,
}

/// Kinds and namespaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterScope {
    /// `API-VERSION/KIND` patterns, e.g. `apps/v1/*`.
    pub kinds: Vec<String>,
    /// Namespace patterns; `$namespace` is the app's. Empty means objects without a namespace only.
    #[serde(default)]
    pub namespaces: Vec<String>,
}

/// A program and the shape of its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessScope {
    /// Name looked up in `PATH`; never a path.
    pub program: String,
    /// `*` inside an argument matches any text; `**` any number of arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Variables that are passed on from the user's environment, or set by the plugin.
    #[serde(default)]
    pub env: Vec<String>,
}

/// The reason why a manifest is refused.
#[derive(Debug, Error, Diagnostic)]
pub enum ManifestError {
    /// The component has no manifest.
    #[error("it has no manifest")]
    #[diagnostic(
        code(todohost::plugin::manifest_missing),
        help(
            "build it with the todohost SDK, or add its plugin.toml as the custom section `{SECTION}`"
        )
    )]
    Missing,
    /// The manifest is too large.
    #[error("its manifest has {bytes} bytes, more than {MAX_MANIFEST_BYTES}")]
    #[diagnostic(code(todohost::plugin::manifest_too_big))]
    TooBig {
        /// Size found.
        bytes: usize,
    },
    /// The manifest is not UTF-8.
    #[error("its manifest is not UTF-8")]
    #[diagnostic(code(todohost::plugin::manifest_not_text))]
    NotText,
    /// The manifest is not TOML of the right shape.
    #[error("its manifest is malformed: {reason}")]
    #[diagnostic(
        code(todohost::plugin::manifest_malformed),
        help("correct plugin.toml and rebuild the plugin")
    )]
    Malformed {
        /// The parser's message, in one line.
        reason: String,
    },
    /// A field has an invalid value.
    #[error("its manifest has an invalid `{field} = {value:?}`: {reason}")]
    #[diagnostic(
        code(todohost::plugin::manifest_invalid),
        help("correct plugin.toml and rebuild the plugin")
    )]
    Invalid {
        field: &'static str,
        /// The field's value.
        value: String,
        /// The rule that the value violates.
        reason: &'static str,
    },
}

impl Manifest {
    /// Reads the text of a `plugin.toml`.
    ///
    /// # Errors
    /// If the text is too large, malformed, or has an invalid value.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooBig { bytes: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ManifestError::NotText)?;
        let manifest: Self = toml::from_str(text).map_err(|error| ManifestError::Malformed {
            reason: error.message().replace('\n', " "),
        })?;
        manifest.validate()?;
        Ok(manifest)
    }

    fn validate(&self) -> Result<(), ManifestError> {
        let invalid = |field, value: &str, reason| {
            Err(ManifestError::Invalid { field, value: value.to_owned(), reason })
        };
        let word = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        if !word(&self.id) {
            return invalid("id", &self.id, "an id has 1 to 64 of a-z, 0-9 and -");
        }
        if self.description.len() > 400 || self.description.chars().any(char::is_control) {
            return invalid("description", "...", "it is one line of at most 400 bytes");
        }
        if let Some(schema) = &self.options.schema
            && serde_json::from_str::<Value>(schema).is_err()
        {
            return invalid("options.schema", "...", "it is not JSON");
        }
        self.requests.validate()
    }

    /// Checks options against the plugin's schema.
    ///
    /// # Errors
    /// The mistakes, each with its place.
    pub fn validate_options(&self, options: &Value) -> Result<(), Vec<OptionMistake>> {
        let whole = |reason: String| vec![OptionMistake { reason, ..OptionMistake::default() }];
        let Some(schema) = &self.options.schema else {
            let empty =
                options.is_null() || options.as_object().is_some_and(serde_json::Map::is_empty);
            let reason = || format!("plugin `{}` takes no options", self.id);
            return if empty { Ok(()) } else { Err(whole(reason())) };
        };
        let unusable = |error: &dyn fmt::Display| {
            whole(format!("the options schema of plugin `{}` is not usable: {error}", self.id))
        };
        let schema: Value = serde_json::from_str(schema).map_err(|error| unusable(&error))?;
        let validator = jsonschema::validator_for(&schema).map_err(|error| unusable(&error))?;
        let mistakes: Vec<OptionMistake> = validator
            .iter_errors(options)
            .take(20)
            .map(|error| self.mistake(&schema, &error))
            .collect();
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
    }

    /// The value path in the option `secret`: the value of `$secret` in the plugin's requests.
    pub fn named_secret(&self, options: &Value) -> Option<String> {
        let default = || {
            let schema: Value = serde_json::from_str(self.options.schema.as_ref()?).ok()?;
            Some(schema.pointer("/properties/secret/default")?.as_str()?.to_owned())
        };
        let named = options["secret"].as_str().map(str::to_owned).or_else(default)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        named.bytes().all(is_plain).then_some(named)
    }

    fn mistake(&self, schema: &Value, error: &jsonschema::ValidationError<'_>) -> OptionMistake {
        let path = error.instance_path().as_str().split('/').skip(1);
        let path = path.map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
        let mistake = OptionMistake { path, reason: error.to_string(), ..OptionMistake::default() };
        let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() else {
            return mistake;
        };
        let place = error.schema_path().as_str().trim_end_matches("/additionalProperties");
        let known = schema.pointer(&format!("{place}/properties")).and_then(Value::as_object);
        OptionMistake {
            reason: format!("plugin `{}` does not have this option", self.id),
            unknown: unexpected.first().cloned(),
            known: known.into_iter().flat_map(|known| known.keys().cloned()).collect(),
            ..mistake
        }
    }
}

impl Requests {
    /// Whether nothing is requested.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether there is a request for a capability.
    pub fn covers(&self, capability: Capability) -> bool {
        match capability {
            Capability::Env | Capability::Log => true,
            Capability::Workspace => {
                !self.workspace_read.is_empty() || !self.user_files_read.is_empty()
            }
            Capability::Process => !self.process_exec.is_empty(),
            Capability::ClusterRead => !self.cluster_read.is_empty(),
            Capability::ClusterWrite => !self.cluster_write.is_empty(),
            Capability::HttpProbe => !self.http_allow.is_empty(),
            Capability::Tcp => {
                !self.tcp_connect.is_empty() || !self.tcp_connect_from_cluster.is_empty()
            }
        }
    }

    /// Each entry as one line, in the form of a manifest.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, entries) in self.lists() {
            lines.extend(entries.iter().map(|entry| format!("{name} = [{entry:?}]")));
        }
        for (name, scopes) in
            [("cluster-read", &self.cluster_read), ("cluster-write", &self.cluster_write)]
        {
            lines.extend(scopes.iter().map(|scope| format!("{name} = [{scope}]")));
        }
        lines.extend(self.process_exec.iter().map(|scope| format!("process-exec = [{scope}]")));
        lines
    }

    /// The entries that are not in `granted`.
    #[must_use]
    pub fn beyond(&self, granted: &Self) -> Self {
        fn rest<T: Clone + PartialEq>(wanted: &[T], granted: &[T]) -> Vec<T> {
            wanted.iter().filter(|entry| !granted.contains(entry)).cloned().collect()
        }
        Self {
            workspace_read: rest(&self.workspace_read, &granted.workspace_read),
            user_files_read: rest(&self.user_files_read, &granted.user_files_read),
            cluster_read: rest(&self.cluster_read, &granted.cluster_read),
            cluster_write: rest(&self.cluster_write, &granted.cluster_write),
            http_allow: rest(&self.http_allow, &granted.http_allow),
            tcp_connect: rest(&self.tcp_connect, &granted.tcp_connect),
            tcp_connect_from_cluster: rest(
                &self.tcp_connect_from_cluster,
                &granted.tcp_connect_from_cluster,
            ),
            reveal: rest(&self.reveal, &granted.reveal),
            process_exec: rest(&self.process_exec, &granted.process_exec),
        }
    }

    fn lists(&self) -> [(&'static str, &Vec<String>); 6] {
        [
            ("workspace-read", &self.workspace_read),
            ("user-files-read", &self.user_files_read),
            ("http-allow", &self.http_allow),
            ("tcp-connect", &self.tcp_connect),
            ("tcp-connect-from-cluster", &self.tcp_connect_from_cluster),
            ("reveal", &self.reveal),
        ]
    }

    fn validate(&self) -> Result<(), ManifestError> {
        let invalid = |field, value: &str, reason| {
            Err(ManifestError::Invalid { field, value: value.to_owned(), reason })
        };
        for (field, entries) in self.lists() {
            if entries.len() > MAX_ENTRIES {
                return invalid(field, "...", "it has too many entries");
            }
            // The user consents to a list of lines, so an entry must not contain a line break.
            if let Some(entry) = entries.iter().find(|entry| {
                entry.is_empty() || entry.len() > 512 || entry.chars().any(char::is_control)
            }) {
                return invalid(field, entry, "an entry is a line of 1 to 512 bytes");
            }
        }
        if self.cluster_read.len() + self.cluster_write.len() + self.process_exec.len()
            > MAX_ENTRIES
        {
            return invalid("requests", "...", "it has too many entries");
        }
        for pattern in self.workspace_read.iter().chain(&self.user_files_read) {
            if pattern.split(['/', '\\']).any(|part| part == "..") {
                return invalid("workspace-read", pattern, "`..` leaves the directory");
            }
        }
        if let Some(pattern) = self.workspace_read.iter().find(|pattern| pattern.starts_with('/')) {
            return invalid("workspace-read", pattern, "it is relative to the project");
        }
        if let Some(pattern) =
            self.user_files_read.iter().find(|pattern| !pattern.starts_with("~/"))
        {
            return invalid("user-files-read", pattern, "it begins with `~/`");
        }
        let places = &self.tcp_connect_from_cluster;
        if let Some(place) = places.iter().find(|place| !place.starts_with("secret:")) {
            let reason = "use `secret:PATH`: only the host inside a secret can be reached from inside the cluster";
            return invalid("tcp-connect-from-cluster", place, reason);
        }
        for scope in &self.process_exec {
            let name = &scope.program;
            if name.is_empty() || name.len() > 128 || !name.bytes().all(is_program_byte) {
                return invalid("process-exec", name, "a program is a name, not a path");
            }
            if scope.args.iter().chain(&scope.env).any(|text| text.chars().any(char::is_control)) {
                return invalid("process-exec", name, "arguments are printable");
            }
        }
        let sends = !self.process_exec.is_empty()
            || !self.http_allow.is_empty()
            || !self.cluster_write.is_empty()
            || self.tcp_connect.iter().chain(&self.tcp_connect_from_cluster).any(|place| {
                place
                    .strip_prefix("secret:")
                    .is_none_or(|path| !self.reveal.iter().any(|p| p == path))
            });
        if sends && let Some(path) = self.reveal.first() {
            return invalid(
                "reveal",
                path,
                "a plugin with a revealed secret must not send data to any host except the one inside the secret",
            );
        }
        Ok(())
    }
}

/// Whether a byte may be part of a program's name: no path separator, no drive.
pub(crate) fn is_program_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+')
}

impl fmt::Display for ClusterScope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{{ kinds = {:?}, namespaces = {:?} }}", self.kinds, self.namespaces)
    }
}

impl fmt::Display for ProcessScope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{{ program = {:?}, args = {:?}, env = {:?} }}",
            self.program, self.args, self.env
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Result<Manifest, ManifestError> {
        Manifest::parse(text.as_bytes())
    }

    fn with_requests(requests: &str) -> Result<Manifest, ManifestError> {
        parse(&format!("id = \"x\"\nversion = \"1.0.0\"\n[requests]\n{requests}"))
    }

    #[test]
    fn requests_are_read() {
        let manifest = with_requests(
            r#"
            workspace-read = ["**"]
            cluster-read = [{ kinds = ["v1/Pod"], namespaces = ["*"] }]
            [[requests.process-exec]]
            program = "docker"
            args = ["buildx", "build", "**"]
            env = ["HOME"]
            "#,
        )
        .unwrap();
        assert_eq!(
            manifest.requests.lines(),
            [
                r#"workspace-read = ["**"]"#,
                r#"cluster-read = [{ kinds = ["v1/Pod"], namespaces = ["*"] }]"#,
                r#"process-exec = [{ program = "docker", args = ["buildx", "build", "**"], env = ["HOME"] }]"#,
            ]
        );
        assert!(manifest.requests.covers(Capability::Process));
        assert!(!manifest.requests.covers(Capability::Tcp));
    }

    #[test]
    fn hostile_requests_are_refused() {
        for requests in [
            r#"workspace-read = ["../**"]"#,
            r#"workspace-read = ["/etc/**"]"#,
            r#"workspace-read = ["a/../../b"]"#,
            r#"user-files-read = ["/etc/passwd"]"#,
            r#"user-files-read = ["~/../other/**"]"#,
            r#"http-allow = ["a:1\nprocess-exec = []"]"#,
            r#"process-exec = [{ program = "/bin/sh" }]"#,
            r#"process-exec = [{ program = "a b" }]"#,
            r#"reveal = ["secrets.a"]
               http-allow = ["*:*"]"#,
            r#"reveal = ["secrets.a"]
               tcp-connect = ["secret:secrets.b"]"#,
            r#"reveal = ["secrets.a"]
               tcp-connect-from-cluster = ["secret:secrets.b"]"#,
            r#"tcp-connect-from-cluster = ["db.example:5432"]"#,
        ] {
            let error = with_requests(requests).unwrap_err();
            assert!(matches!(error, ManifestError::Invalid { .. }), "{requests}: {error}");
        }
        assert!(with_requests("surprise = 1").is_err());
        assert!(with_requests("reveal = [\"a\"]\ntcp-connect = [\"secret:a\"]").is_ok());
        assert!(parse("id = \"Big Name\"\nversion = \"1.0.0\"").is_err());
    }

    #[test]
    fn the_named_secret_is_one_path() {
        let named = |schema: &str, options: Value| {
            let manifest = format!("id = \"x\"\nversion = \"1.0.0\"\n{schema}");
            parse(&manifest).unwrap().named_secret(&options)
        };
        let with_default =
            "[options]\nschema = '{\"properties\":{\"secret\":{\"default\":\"a.b\"}}}'";
        assert_eq!(named(with_default, json!({})).as_deref(), Some("a.b"));
        assert_eq!(named(with_default, json!({ "secret": "c.d" })).as_deref(), Some("c.d"));
        assert_eq!(named("", json!({})), None);
        for pattern in ["*", "a.*", "?", "a.[b]"] {
            assert_eq!(named(with_default, json!({ "secret": pattern })), None, "{pattern}");
        }
    }

    #[test]
    fn requests_beyond_a_grant_are_listed() {
        let wanted = with_requests(r#"workspace-read = ["a/**", "b/**"]"#).unwrap().requests;
        let granted = with_requests(r#"workspace-read = ["a/**"]"#).unwrap().requests;
        assert_eq!(wanted.beyond(&granted).lines(), [r#"workspace-read = ["b/**"]"#]);
        assert!(granted.beyond(&wanted).is_empty());
    }

    #[test]
    fn options_are_checked_against_their_schema() {
        let manifest = parse(
            r#"
            id = "x"
            version = "1.0.0"
            [options]
            schema = '{"type":"object","properties":{"n":{"type":"integer"}},"additionalProperties":false}'
            "#,
        )
        .unwrap();
        assert_eq!(manifest.validate_options(&json!({ "n": 1 })), Ok(()));
        let mistakes = manifest.validate_options(&json!({ "n": "one" })).unwrap_err();
        assert_eq!(mistakes[0].path, ["n"], "{mistakes:?}");
        let mistakes = manifest.validate_options(&json!({ "m": 1 })).unwrap_err();
        assert_eq!(
            (mistakes[0].unknown.as_deref(), mistakes[0].known.as_slice()),
            (Some("m"), &["n".to_owned()][..])
        );
        let plain = parse("id = \"x\"\nversion = \"1.0.0\"").unwrap();
        assert_eq!(plain.validate_options(&json!({})), Ok(()));
        assert!(plain.validate_options(&json!({ "n": 1 })).is_err());
    }
}

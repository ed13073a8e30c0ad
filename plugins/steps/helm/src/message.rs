//! The messages between this crate and the engine; `engine/message.go` declares the same types.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};

/// A message to the engine: first a request, then one answer for each question.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Incoming<'a> {
    Render(Request<'a>),
    Answer(LookupAnswer),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    pub release: &'a str,
    pub namespace: &'a str,
    pub revision: u32,
    pub is_upgrade: bool,
    pub files: Vec<File>,
    pub values: Values<'a>,
    pub kubernetes_version: &'a str,
    pub api_versions: &'a [String],
}

/// A file of the chart, with its path relative to the chart's directory.
#[derive(Serialize)]
pub struct File {
    pub path: String,
    #[serde(serialize_with = "as_base64")]
    pub data: Vec<u8>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Values<'a> {
    pub files: Vec<ValuesFile<'a>>,
    pub set: &'a [String],
    pub set_string: &'a [String],
    pub set_json: &'a [String],
    pub set_file: Vec<ValueFile<'a>>,
}

#[derive(Serialize)]
pub struct ValuesFile<'a> {
    pub name: &'a str,
    pub content: &'a str,
}

#[derive(Serialize)]
pub struct ValueFile<'a> {
    pub key: &'a str,
    #[serde(serialize_with = "as_base64")]
    pub data: &'a [u8],
}

/// The found objects as JSON documents, or the error of the lookup.
#[derive(Serialize, Default)]
pub struct LookupAnswer {
    pub objects: Vec<String>,
    pub error: String,
}

/// A message from the engine.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outgoing {
    Lookup(LookupQuestion),
    Rendered(Rendered),
    Failed(Failure),
}

/// A template's lookup of one object or, with an empty name, of all objects of a kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LookupQuestion {
    pub api_version: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

#[derive(Deserialize)]
pub struct Rendered {
    #[serde(deserialize_with = "or_empty")]
    pub manifests: Vec<Manifest>,
    #[serde(deserialize_with = "or_empty")]
    pub hooks: Vec<Hook>,
    #[serde(deserialize_with = "or_empty")]
    pub definitions: Vec<Manifest>,
    pub notes: String,
    pub chart: String,
    pub config: String,
    pub effective: String,
    #[serde(deserialize_with = "or_empty")]
    pub warnings: Vec<String>,
}

#[derive(Deserialize)]
pub struct Manifest {
    pub source: String,
    pub content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    pub source: String,
    pub content: String,
    #[serde(deserialize_with = "or_empty")]
    pub events: Vec<String>,
    pub weight: i32,
    #[serde(deserialize_with = "or_empty")]
    pub delete_policies: Vec<String>,
}

/// An error of the chart or of the values, with Helm's message.
#[derive(Deserialize)]
pub struct Failure {
    pub code: String,
    pub message: String,
    #[serde(deserialize_with = "or_empty")]
    pub causes: Vec<String>,
    /// File and line, relative to the chart's directory.
    #[serde(default)]
    pub location: Option<String>,
}

fn as_base64<S: Serializer>(data: impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(data))
}

/// Go encodes an empty list as null.
fn or_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

//! The messages between this component and the engine, as `engine/message.go` spells them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};

/// What the engine is called with: a request, then one answer per question.
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

/// A file of the chart; its path is relative to the chart's directory.
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

/// JSON documents of what was found, or why nothing could be looked up.
#[derive(Serialize, Default)]
pub struct LookupAnswer {
    pub objects: Vec<String>,
    pub error: String,
}

/// What a call of the engine returns.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outgoing {
    Lookup(LookupQuestion),
    Rendered(Rendered),
    Failed(Failure),
}

/// A template asks for one object or, without a name, for all of a kind.
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

/// An error of the chart or of the values, in Helm's words.
#[derive(Deserialize)]
pub struct Failure {
    pub code: String,
    pub message: String,
    #[serde(deserialize_with = "or_empty")]
    pub causes: Vec<String>,
    /// File and line inside the chart's directory.
    #[serde(default)]
    pub location: Option<String>,
}

fn as_base64<S: Serializer>(data: impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(data))
}

/// Go writes an empty list as null.
fn or_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

//! Manifests: YAML documents in, objects out, and back.

use super::ReleaseError;
use crate::object::Object;

/// One object with the template that it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// E.g. `todo-app/templates/secret.yaml`; empty where unknown.
    pub source: String,
    /// The object.
    pub object: Object,
}

/// The objects of a YAML stream, as Helm reads it (YAML 1.1: `on` and `yes` are true); `List` objects are
/// opened, empty documents left out, and `# Source:` comments tell the template where `source` is empty.
///
/// # Errors
/// `Manifest` with what is wrong and where.
pub fn parse_manifest(source: &str, text: &str) -> Result<Vec<Document>, ReleaseError> {
    let _ = (source, text);
    todo!()
}

/// The stream that a record keeps: one document per object under its `# Source:` comment.
///
/// # Errors
/// `Manifest` where an object cannot be written.
pub fn print_manifest(documents: &[Document]) -> Result<String, ReleaseError> {
    let _ = documents;
    todo!()
}

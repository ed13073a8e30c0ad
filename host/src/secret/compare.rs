//! The double-render rule: what two renders that differ only in their placeholders may differ in.

use std::fmt;

use super::Vault;
use crate::object::{Object, ObjectRef};

/// What a chart does with a secret that it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretFault {
    /// It is somewhere else than in the data of a Secret.
    Leak,
    /// What arrives in the Secret is made from it, and the host does not have the function.
    Transform,
}

/// A place where a chart breaks the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFinding {
    /// What is wrong.
    pub fault: SecretFault,
    /// Value path of the secret, where it could be told.
    pub path: Option<String>,
    /// Position of the object in the rendered list, for finding its template.
    pub index: usize,
    /// The object, where it has a name.
    pub object: Option<ObjectRef>,
    /// JSON pointer in it.
    pub pointer: String,
    /// The place in words: `env DATABASE_URL of container api`.
    pub place: String,
}

impl fmt::Display for SecretFinding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = formatter;
        todo!()
    }
}

impl Vault {
    /// Compares two renders of the same inputs, one with each form of the placeholders, and gives back the first:
    /// its placeholders and the checksums in it change exactly when a secret or the chart does.
    ///
    /// # Errors
    /// Every place where the chart leaks or transforms a secret.
    pub fn compare(
        &self,
        first: &[Object],
        second: &[Object],
    ) -> Result<Vec<Object>, Vec<SecretFinding>> {
        let _ = (first, second);
        todo!()
    }
}

//! Real values for placeholders on the way to the API server, tokens for real values on the way back.

use super::{SecretError, Vault};
use crate::object::Object;

impl Vault {
    /// The object as the API server gets it: placeholders and tokens in the data of a Secret become values.
    ///
    /// # Errors
    /// `Leak` where a placeholder is anywhere else.
    pub fn substitute(&self, object: Object) -> Result<Object, SecretError> {
        let _ = object;
        todo!()
    }

    /// The object as components may see it: each value in the data of a Secret is one token, equal for
    /// equal values; known values elsewhere are redacted.
    #[must_use]
    pub fn tokenise(&self, object: Object) -> Object {
        let _ = object;
        todo!()
    }
}

//! A plugin's options: JSON that the host validated against the manifest's schema, read into a type.

use crate::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// For plugins without options.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct NoOptions {}

/// Reads options; an absent document is the same as an empty one.
///
/// # Errors
/// When the document is not of the type's shape.
pub fn parse<T: DeserializeOwned>(options: &str) -> Result<T> {
    let text = match options.trim() {
        "" | "null" => "{}",
        other => other,
    };
    serde_json::from_str(text).map_err(|error| {
        Error::invalid_input(
            "plugin.options",
            "the options of this plugin are not as it expects them",
        )
        .cause(error.to_string())
        .help("`todohost plugin inspect` shows the schema of the options")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Default, PartialEq)]
    #[serde(default)]
    struct Options {
        cluster: String,
    }

    #[test]
    fn absent_options_are_the_defaults() {
        for text in ["", " ", "null", "{}"] {
            assert_eq!(parse::<Options>(text).unwrap(), Options::default());
        }
        assert_eq!(parse::<Options>(r#"{"cluster": "a"}"#).unwrap().cluster, "a");
        let error = parse::<Options>(r#"{"cluster": 1}"#).unwrap_err();
        assert_eq!(error.code, "plugin.options");
    }
}

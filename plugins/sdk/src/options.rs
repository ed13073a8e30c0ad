//! Reads a plugin's options, a JSON document that the host validated by the schema in the manifest.

use crate::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Options of a plugin that has none.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct NoOptions {}

/// Reads options into a type. An empty text and `null` read as `{}`.
///
/// # Errors
/// Fails if the document does not fit the type.
pub fn parse<T: DeserializeOwned>(options: &str) -> Result<T> {
    let text = match options.trim() {
        "" | "null" => "{}",
        other => other,
    };
    serde_json::from_str(text).map_err(|error| {
        Error::invalid_input("plugin.options", "the options do not fit this plugin")
            .cause(error.to_string())
            .help("run `todohost plugin inspect` to see the schema of the options")
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

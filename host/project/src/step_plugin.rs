//! The plugin of a step: a name, or a table with options.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::no_options;

/// The plugin of a step, with its options.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepPlugin {
    /// Id or path; by default the only core plugin for the step.
    pub plugin: Option<String>,
    /// The plugin's options.
    pub options: Value,
}

/// The long form.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct StepTable {
    /// Id or path of the plugin; by default the only core plugin for the step.
    #[serde(default)]
    plugin: Option<String>,
    /// The plugin's options.
    #[serde(default = "no_options")]
    options: Value,
}

impl<'de> Deserialize<'de> for StepPlugin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By hand, so that an error inside the table is reported with its own line.
        deserializer.deserialize_any(Forms)
    }
}

struct Forms;

impl<'de> Visitor<'de> for Forms {
    type Value = StepPlugin;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "the id or path of a plugin, or a table such as { plugin = \"x\", options = {} }",
        )
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<StepPlugin, E> {
        Ok(StepPlugin { plugin: Some(name.to_owned()), options: no_options() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StepPlugin, A::Error> {
        let StepTable { plugin, options } =
            StepTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(StepPlugin { plugin, options })
    }
}

impl JsonSchema for StepPlugin {
    fn schema_name() -> Cow<'static, str> {
        "StepPlugin".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = StepTable::json_schema(generator);
        json_schema!({
            "description": "The plugin of a step: its id, its path, or a table with options.",
            "anyOf": [{ "type": "string" }, table],
        })
    }
}

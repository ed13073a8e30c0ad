//! Durations in the project file and on the command line.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A shorter limit is likely a wrong unit.
const SHORTEST: Duration = Duration::from_secs(1);
/// A longer limit is likely a wrong unit.
const LONGEST: Duration = Duration::from_hours(24);

/// A time limit, e.g. `90s`, `5m` or `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeLimit(Duration);

impl TimeLimit {
    /// A limit from a constant of the program; its range is not checked.
    pub const fn of(duration: Duration) -> Self {
        Self(duration)
    }

    /// The limit.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl JsonSchema for TimeLimit {
    fn schema_name() -> Cow<'static, str> {
        "TimeLimit".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A duration from 1s to 24h.",
            "examples": ["90s", "5m", "1h 30m"],
        })
    }
}

impl FromStr for TimeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused =
            || format!("invalid duration {text:?}: use 1s to 24h, for example 90s, 5m or 1h");
        let time: SignedDuration = text.parse().map_err(|_| refused())?;
        let time = Duration::try_from(time).map_err(|_| refused())?;
        if (SHORTEST..=LONGEST).contains(&time) { Ok(Self(time)) } else { Err(refused()) }
    }
}

impl TryFrom<String> for TimeLimit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TimeLimit> for String {
    fn from(limit: TimeLimit) -> Self {
        limit.to_string()
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}s", self.0.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h 30m", 5400), ("2 minutes", 120)] {
            let limit: TimeLimit = text.parse().unwrap();
            assert_eq!(limit.duration(), Duration::from_secs(seconds), "{text}");
            assert_eq!(limit.to_string().parse(), Ok(limit), "{text}");
        }
        for text in ["", "90", "0s", "-5m", "25h", "soon", "100ms"] {
            let refused = text.parse::<TimeLimit>().unwrap_err();
            assert!(refused.contains("90s, 5m or 1h"), "{text}: {refused}");
        }
    }
}

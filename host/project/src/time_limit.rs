//! Times as people write them in the project file and on the command line.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Shorter than this is a mistake of the unit.
const SHORTEST: Duration = Duration::from_secs(1);
/// Longer than this nobody waits.
const LONGEST: Duration = Duration::from_hours(24);

/// How long something may take, e.g. `90s`, `5m` or `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeLimit(Duration);

impl TimeLimit {
    /// A limit that the program itself sets.
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
        let refused = || format!("{text:?} is no time from 1s to 24h; write e.g. 90s, 5m or 1h");
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
    fn times_are_read_as_people_write_them() {
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

//! A mistake in the options of a plugin. The runtime finds it; `project` shows it at its place in the project file.

/// A part of a plugin's options that its schema does not allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OptionMistake {
    /// Keys and array indices from the options to the mistake.
    pub path: Vec<String>,
    /// The reason, in one line.
    pub reason: String,
    /// The unknown key below `path`, if the mistake is an unknown key.
    pub unknown: Option<String>,
    /// The keys that the schema allows below `path`.
    pub known: Vec<String>,
}

//! A mistake in the options of a plugin: found by the runtime, shown at its place in the project file.

/// Something in a plugin's options that its schema does not allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OptionMistake {
    /// Keys and array indices that lead to it, from the options down.
    pub path: Vec<String>,
    /// What is wrong, in one line.
    pub reason: String,
    /// The key below `path` that the schema does not know, where that is what is wrong.
    pub unknown: Option<String>,
    /// The keys that it knows there.
    pub known: Vec<String>,
}

//! The environment of the process: variables and the user's directories.
//!
//! Only this module reads environment variables. Other modules get an `Environment`, so that tests can replace it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A snapshot of the environment, taken once.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    home: Option<PathBuf>,
    executable: Option<PathBuf>,
}

impl Environment {
    /// Reads the environment of this process. Variables that are not Unicode are left out.
    pub fn read() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self {
            variables,
            home: directories::BaseDirs::new().map(|base| base.home_dir().to_owned()),
            executable: std::env::current_exe().and_then(|path| path.canonicalize()).ok(),
        }
    }

    /// An environment for tests.
    pub fn of(variables: BTreeMap<String, String>, home: Option<PathBuf>) -> Self {
        Self { variables, home, executable: None }
    }

    /// A variable; `None` if it is empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All variables, for programs that are granted some of them.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// The user's home directory.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// Directory of files that can be created again.
    pub fn cache_dir(&self) -> PathBuf {
        self.directory("XDG_CACHE_HOME", |base| base.cache_dir().to_owned(), ".cache")
    }

    /// Directory of the user's consents; never inside a project.
    pub fn config_dir(&self) -> PathBuf {
        self.directory("XDG_CONFIG_HOME", |base| base.config_dir().to_owned(), ".config")
    }

    /// Directory of files that a run writes for the user, such as failure reports.
    pub fn state_dir(&self) -> PathBuf {
        let platform = |base: &directories::BaseDirs| {
            // Only Linux has a separate directory for state.
            base.state_dir().unwrap_or_else(|| base.data_local_dir()).to_owned()
        };
        self.directory("XDG_STATE_HOME", platform, ".local/state")
    }

    fn directory(
        &self,
        variable: &str,
        platform: fn(&directories::BaseDirs) -> PathBuf,
        below_home: &str,
    ) -> PathBuf {
        let base = match (self.variable(variable), &self.executable) {
            (Some(path), _) => PathBuf::from(path),
            (None, Some(_)) => directories::BaseDirs::new()
                .map_or_else(|| PathBuf::from(below_home), |base| platform(&base)),
            // In a test, do not use the directories of the real user.
            (None, None) => self.home.as_deref().unwrap_or(Path::new(".")).join(below_home),
        };
        base.join("todohost")
    }

    /// The directory of the core plugins: `TODOHOST_PLUGINS`, or beside the executable, or in `../lib` as packages install
    /// it.
    pub fn core_plugins_dir(&self) -> Option<PathBuf> {
        if let Some(path) = self.variable("TODOHOST_PLUGINS") {
            return Some(PathBuf::from(path));
        }
        let beside = self.executable.as_ref()?.parent()?;
        let places = [beside.join("plugins"), beside.join("../lib/todohost/plugins")];
        places.into_iter().find(|place| place.is_dir())
    }

    /// The user's kubeconfig files, the first of which wins.
    pub fn kubeconfig(&self) -> Vec<PathBuf> {
        match self.variable("KUBECONFIG") {
            Some(list) => {
                std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty()).collect()
            }
            None => self.home.iter().map(|home| home.join(".kube").join("config")).collect(),
        }
    }

    /// User and machine for display, e.g. `ada@laptop`.
    pub fn person(&self) -> String {
        let user = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| self.variable(name));
        let machine = hostname::get().ok().and_then(|name| name.into_string().ok());
        let (user, machine) = (user.unwrap_or("somebody"), machine.unwrap_or_default());
        let name = format!("{user}@{machine}");
        // The name is written into objects and shown to other users.
        name.chars()
            .filter(|letter| letter.is_ascii_graphic() && *letter != '/')
            .take(100)
            .collect()
    }

    /// Whether to print without colours and live display: the user set `NO_COLOR` (<https://no-color.org>), or the terminal
    /// does not support them.
    pub fn is_plain(&self) -> bool {
        self.variable("NO_COLOR").is_some() || self.variable("TERM") == Some("dumb")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Environment {
        let variables =
            variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Environment::of(variables, Some(PathBuf::from("/home/ada")))
    }

    #[test]
    fn directories_follow_the_variables_or_the_home() {
        let set = with(&[("XDG_CACHE_HOME", "/c"), ("XDG_CONFIG_HOME", "/k")]);
        assert_eq!(set.cache_dir(), Path::new("/c/todohost"));
        assert_eq!(set.config_dir(), Path::new("/k/todohost"));
        assert_eq!(with(&[]).cache_dir(), Path::new("/home/ada/.cache/todohost"));
        assert_eq!(with(&[]).state_dir(), Path::new("/home/ada/.local/state/todohost"));
        assert_eq!(with(&[("XDG_STATE_HOME", "/s")]).state_dir(), Path::new("/s/todohost"));
    }

    #[test]
    fn kubeconfig_can_list_several_files() {
        let list = std::env::join_paths(["/a", "/b"]).unwrap().into_string().unwrap();
        let named = with(&[("KUBECONFIG", &list)]);
        assert_eq!(named.kubeconfig(), [Path::new("/a"), Path::new("/b")]);
        assert_eq!(with(&[]).kubeconfig(), [Path::new("/home/ada/.kube/config")]);
        assert_eq!(with(&[("KUBECONFIG", "")]).kubeconfig().len(), 1);
    }
}

//! The project's files, read-only, and the user's contexts.

use crate::bindings::host::todohost::plugin::workspace as host;
use crate::{Error, Result};

pub use host::Entry;

/// A context of the user's kubeconfig; nothing secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The context's name.
    pub name: String,
    /// The cluster that it names.
    pub cluster: String,
    /// The API server's host, as the kubeconfig says it.
    pub server: String,
}

impl Context {
    /// The host of the server's address: of `https://HOST:PORT/path`, of `HOST:PORT` and of `HOST`.
    pub fn host(&self) -> &str {
        let rest = self.server.split_once("://").map_or(self.server.as_str(), |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if let Some(inner) = authority.strip_prefix('[') {
            return inner.split(']').next().unwrap_or_default();
        }
        // More than one colon without brackets is a bare IPv6 address.
        match authority.split_once(':') {
            Some((host, port)) if !port.contains(':') => host,
            _ => authority,
        }
    }

    /// Whether the address leads to this very machine and nowhere else.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// A file's bytes. Needs `workspace-read`, or `user-files-read` for paths that begin with `~/`.
///
/// # Errors
/// When the file is missing, too large, or not granted.
pub fn read(path: &str) -> Result<Vec<u8>> {
    host::read(path)
}

/// A file's text. Needs what [`read`] needs.
///
/// # Errors
/// As [`read`], and when the file is not UTF-8.
pub fn read_text(path: &str) -> Result<String> {
    String::from_utf8(host::read(path)?).map_err(|_| {
        Error::invalid_input("workspace.not-text", format!("{path} is not UTF-8 text"))
    })
}

/// Files and folders that match a glob. Needs `workspace-read` for what it matches.
///
/// # Errors
/// When the pattern is malformed or not granted.
pub fn glob(pattern: &str) -> Result<Vec<Entry>> {
    host::glob(pattern)
}

/// One digest over the contents and names below `paths`, less what the ignore patterns name. Needs
/// `workspace-read`.
///
/// # Errors
/// When a path is missing or not granted.
pub fn digest(paths: &[String], ignore: &[String]) -> Result<String> {
    host::digest(paths, ignore)
}

/// The contexts of the user's kubeconfig. Needs `user-files-read = ["~/.kube/**"]`.
///
/// # Errors
/// When not granted, or when the kubeconfig cannot be read.
pub fn contexts() -> Result<Vec<Context>> {
    let contexts = host::contexts()?;
    Ok(contexts
        .into_iter()
        .map(|(name, cluster, server)| Context { name, cluster, server })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_loopback(server: &str) -> bool {
        Context { name: String::new(), cluster: String::new(), server: server.into() }.is_loopback()
    }

    #[test]
    fn only_addresses_of_this_machine_are_loopback() {
        for server in [
            "https://127.0.0.1:6443",
            "127.0.0.1",
            "localhost",
            "LOCALHOST:6443",
            "https://[::1]:6443/x",
            "::1",
        ] {
            assert!(is_loopback(server), "{server}");
        }
        for server in [
            "https://10.0.0.7:6443",
            "https://localhost.example.com",
            "https://example.com/localhost",
            "https://example.com?localhost",
            "https://127.0.0.1.example.com:6443",
            "",
        ] {
            assert!(!is_loopback(server), "{server}");
        }
    }
}

//! Read-only access to the project's files and to the contexts of the user's kubeconfig.
//!
//! ```no_run
//! use todohost_plugin::{Result, workspace};
//!
//! /// Needs the grant `workspace-read = ["**/Dockerfile"]`.
//! fn dockerfiles() -> Result<Vec<String>> {
//!     workspace::glob("**/Dockerfile")?.iter().map(|entry| workspace::read_text(&entry.path)).collect()
//! }
//! ```

use crate::bindings::host::todohost::plugin::workspace as host;
use crate::{Error, Result};

pub use host::Entry;

/// A context of the user's kubeconfig, without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Name of the context.
    pub name: String,
    /// Name of its cluster.
    pub cluster: String,
    /// Address of the API server, as written in the kubeconfig.
    pub server: String,
}

impl Context {
    /// The host in the server's address, which can have the form `https://HOST:PORT/path`, `HOST:PORT` or `HOST`.
    pub fn host(&self) -> &str {
        let rest = self.server.split_once("://").map_or(self.server.as_str(), |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if let Some(inner) = authority.strip_prefix('[') {
            return inner.split(']').next().unwrap_or_default();
        }
        // An address with more than one colon and without brackets is a bare IPv6 address.
        match authority.split_once(':') {
            Some((host, port)) if !port.contains(':') => host,
            _ => authority,
        }
    }

    /// Reports whether the server's host is `localhost` or a loopback IP address.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// Reads a file. Needs the grant `workspace-read`, or `user-files-read` for a path that begins with `~/`.
///
/// # Errors
/// Fails if the file is missing, too large, or not granted.
pub fn read(path: &str) -> Result<Vec<u8>> {
    host::read(path)
}

/// Reads a text file. Needs the same grant as [`read`].
///
/// # Errors
/// Fails like [`read`], and if the file is not UTF-8.
pub fn read_text(path: &str) -> Result<String> {
    String::from_utf8(host::read(path)?).map_err(|_| {
        Error::invalid_input("workspace.not-text", format!("{path} is not UTF-8 text"))
    })
}

/// Lists files and folders that match a glob pattern. Needs the grant `workspace-read` for them.
///
/// # Errors
/// Fails if the pattern is malformed or not granted.
pub fn glob(pattern: &str) -> Result<Vec<Entry>> {
    host::glob(pattern)
}

/// Computes one digest over the names and contents of the files below `paths`, except those that match a pattern in
/// `ignore`. Needs the grant `workspace-read`.
///
/// # Errors
/// Fails if a path is missing or not granted.
pub fn digest(paths: &[String], ignore: &[String]) -> Result<String> {
    host::digest(paths, ignore)
}

/// Lists the contexts of the user's kubeconfig. Needs the grant `user-files-read = ["~/.kube/**"]`.
///
/// # Errors
/// Fails without the grant, and if the kubeconfig cannot be read.
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
    fn loopback_is_localhost_or_a_loopback_ip_address() {
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

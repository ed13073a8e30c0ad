//! Which contexts are Docker Desktop's on this machine. Only those may be chosen without being named.

use todohost_plugin::workspace::Context;

/// The name that Docker Desktop gives to its context.
pub const CONTEXT: &str = "docker-desktop";

/// Whether this context leads to the Docker Desktop of this very machine: its name alone proves nothing, since
/// kubeconfigs are copied and merged.
pub fn is_local(context: &Context) -> bool {
    context.name == CONTEXT && is_this_machine(host(&context.server))
}

fn is_this_machine(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name == "kubernetes.docker.internal" {
        return true;
    }
    name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host of `https://HOST:PORT/path`, of `HOST:PORT` and of `HOST`.
fn host(server: &str) -> &str {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn context(name: &str, server: &str) -> Context {
        Context { name: name.into(), cluster: name.into(), server: server.into() }
    }

    #[test]
    fn the_name_and_the_address_must_agree() {
        for server in [
            "https://kubernetes.docker.internal:6443",
            "https://127.0.0.1:6443",
            "127.0.0.1",
            "localhost",
            "LOCALHOST:6443",
            "[::1]:6443",
            "::1",
        ] {
            assert!(is_local(&context("docker-desktop", server)), "{server}");
            assert!(!is_local(&context("production", server)), "{server}");
        }
        for server in [
            "https://10.0.0.7:6443",
            "https://localhost.example.com",
            "https://example.com/localhost",
            "https://127.0.0.1.example.com:6443",
            "",
        ] {
            assert!(!is_local(&context("docker-desktop", server)), "{server}");
        }
    }
}

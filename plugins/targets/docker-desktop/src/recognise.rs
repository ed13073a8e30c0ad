//! Which contexts are Docker Desktop's on this machine. Only those may be chosen without being named.

use crate::provisioner::INTERNAL;
use todohost_plugin::workspace::Context;

/// The name that Docker Desktop gives to its context.
pub const CONTEXT: &str = "docker-desktop";

/// Whether this context leads to the Docker Desktop of this very machine: its name alone proves nothing, since
/// kubeconfigs are copied and merged.
pub fn is_local(context: &Context) -> bool {
    context.name == CONTEXT
        && (context.is_loopback()
            || context.host().trim_end_matches('.').eq_ignore_ascii_case(INTERNAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(name: &str, server: &str) -> Context {
        Context { name: name.into(), cluster: name.into(), server: server.into() }
    }

    #[test]
    fn the_name_and_the_address_must_agree() {
        for server in
            ["https://kubernetes.docker.internal:6443", "https://127.0.0.1:6443", "localhost"]
        {
            assert!(is_local(&context("docker-desktop", server)), "{server}");
            assert!(!is_local(&context("production", server)), "{server}");
        }
        for server in
            ["https://10.0.0.7:6443", "https://kubernetes.docker.internal.example.com", ""]
        {
            assert!(!is_local(&context("docker-desktop", server)), "{server}");
        }
    }
}

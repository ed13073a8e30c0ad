//! Recognises contexts of Docker Desktop on this machine. Only these can be selected without `--target`.

use crate::provisioner::INTERNAL;
use todohost_plugin::workspace::Context;

/// Name of Docker Desktop's context.
pub const CONTEXT: &str = "docker-desktop";

/// Reports whether this context belongs to the Docker Desktop of this machine. The name alone proves nothing, because
/// kubeconfigs are copied and merged between machines.
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
    fn local_context_needs_matching_name_and_address() {
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

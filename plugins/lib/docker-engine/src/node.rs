//! Nodes in containers: the health of the API server.

use std::time::Duration;
use todohost_plugin::process::{Command, Output};
use todohost_plugin::{ErrorKind, Result};

/// Health of the API server in a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// The API server is ready.
    Healthy,
    /// The health could not be read.
    Unknown,
    /// The API server has this problem, or does not answer.
    Unhealthy(String),
}

/// Reads the health with the `kubectl` in the node. If that does not exist, the health is unknown.
///
/// # Errors
/// Fails if `docker` is not granted.
pub fn health(node: &str, kubectl: &str, kubeconfig: &str) -> Result<Health> {
    let output = Command::new("docker")
        .args(["exec", node, kubectl, &format!("--kubeconfig={kubeconfig}")])
        .args(["get", "--raw=/readyz"])
        .timeout(Duration::from_secs(5))
        .run();
    match output {
        Ok(output) => Ok(judge(&output)),
        Err(error) if error.kind == ErrorKind::Timeout => {
            Ok(Health::Unhealthy("its API server does not answer".to_owned()))
        }
        Err(error) => Err(error),
    }
}

/// Messages about a server that does not answer.
const UNREACHABLE: [&str; 4] =
    ["was refused", "connection refused", "Unable to connect to the server", "i/o timeout"];
/// Messages of a server that reports a problem.
const NOT_READY: [&str; 3] = ["InternalError", "ServiceUnavailable", "[-]"];

fn judge(output: &Output) -> Health {
    if output.success() {
        return Health::Healthy;
    }
    let stderr = output.stderr_text();
    if UNREACHABLE.iter().any(|sign| stderr.contains(sign)) {
        return Health::Unhealthy("its API server does not answer".to_owned());
    }
    if NOT_READY.iter().any(|sign| stderr.contains(sign)) {
        let failed = stderr.lines().find_map(|line| line.trim().strip_prefix("[-]"));
        let part = failed.and_then(|line| line.split_whitespace().next());
        let part = part.map(|part| format!(": {part} fails")).unwrap_or_default();
        return Health::Unhealthy(format!("its API server is not ready{part}"));
    }
    Health::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health_after(code: i32, stderr: &str) -> Health {
        let (stdout, stderr) = (Vec::new(), stderr.as_bytes().to_vec());
        judge(&Output { code: Some(code), stdout, stderr, truncated: false })
    }

    #[test]
    fn unrelated_failure_leaves_the_health_unknown() {
        assert_eq!(health_after(0, ""), Health::Healthy);
        let silent = "The connection to the server lab-control-plane:6443 was refused - did you specify the right host or port?\n";
        assert_eq!(
            health_after(1, silent),
            Health::Unhealthy("its API server does not answer".into())
        );
        let failing = "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\nError from server (InternalError): an error on the server\n";
        assert_eq!(
            health_after(1, failing),
            Health::Unhealthy("its API server is not ready: etcd fails".into())
        );
        // These messages are about the node image or a deleted node, not about the server.
        for text in [
            "OCI runtime exec failed: exec: \"kubectl\": executable file not found in $PATH\n",
            "Error response from daemon: No such container: x\n",
            "",
        ] {
            assert_eq!(health_after(126, text), Health::Unknown, "{text}");
        }
    }
}

//! Nodes that are containers of the engine: whether the API server inside of one is well.

use std::time::Duration;
use todohost_plugin::process::{Command, Output};
use todohost_plugin::{ErrorKind, Result};

/// What the API server inside of a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It is well.
    Well,
    /// It could not be asked.
    Unknown,
    /// It does not answer, or says what is wrong.
    Sick(String),
}

/// Asks with the node's own `kubectl`. One that is not where it should be says nothing about the server.
///
/// # Errors
/// When `docker` may not be asked.
pub fn health(node: &str, kubectl: &str, kubeconfig: &str) -> Result<Health> {
    let output = Command::new("docker")
        .args(["exec", node, kubectl, &format!("--kubeconfig={kubeconfig}")])
        .args(["get", "--raw=/readyz"])
        .timeout(Duration::from_secs(5))
        .run();
    match output {
        Ok(output) => Ok(judge(&output)),
        Err(error) if error.kind == ErrorKind::Timeout => {
            Ok(Health::Sick("its API server does not answer".to_owned()))
        }
        Err(error) => Err(error),
    }
}

/// Nothing answers where the server should be.
const SILENT: [&str; 4] =
    ["was refused", "connection refused", "Unable to connect to the server", "i/o timeout"];
/// It answers that something in it is wrong.
const SICK: [&str; 3] = ["InternalError", "ServiceUnavailable", "[-]"];

fn judge(output: &Output) -> Health {
    if output.success() {
        return Health::Well;
    }
    let stderr = output.stderr_text();
    if SILENT.iter().any(|sign| stderr.contains(sign)) {
        return Health::Sick("its API server does not answer".to_owned());
    }
    if SICK.iter().any(|sign| stderr.contains(sign)) {
        let failed = stderr.lines().find_map(|line| line.trim().strip_prefix("[-]"));
        let part = failed.and_then(|line| line.split_whitespace().next());
        let part = part.map(|part| format!(": {part} fails")).unwrap_or_default();
        return Health::Sick(format!("its API server is not well{part}"));
    }
    Health::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: i32, stderr: &str) -> Health {
        let (stdout, stderr) = (Vec::new(), stderr.as_bytes().to_vec());
        judge(&Output { code: Some(code), stdout, stderr, truncated: false })
    }

    #[test]
    fn only_a_server_that_is_known_to_be_sick_is() {
        assert_eq!(said(0, ""), Health::Well);
        let silent = "The connection to the server lab-control-plane:6443 was refused - did you specify the right host or port?\n";
        assert_eq!(said(1, silent), Health::Sick("its API server does not answer".into()));
        let failing = "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\nError from server (InternalError): an error on the server\n";
        assert_eq!(said(1, failing), Health::Sick("its API server is not well: etcd fails".into()));
        // Nothing about the server: another image, or a node that has just gone.
        for text in [
            "OCI runtime exec failed: exec: \"kubectl\": executable file not found in $PATH\n",
            "Error response from daemon: No such container: x\n",
            "",
        ] {
            assert_eq!(said(126, text), Health::Unknown, "{text}");
        }
    }
}

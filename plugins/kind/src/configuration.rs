//! What a created cluster looks like, and where its ports came out on this machine.

use std::fmt::Write;

/// kind's configuration: one node, whose node ports each get a free port of this machine. No port is fixed, so two
/// clusters never want the same one.
pub fn of(node_ports: &[u16]) -> String {
    let mut text = String::from(
        "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- role: control-plane\n",
    );
    if !node_ports.is_empty() {
        text.push_str("  extraPortMappings:\n");
    }
    for port in node_ports {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  - {{containerPort: {port}, hostPort: 0, listenAddress: \"127.0.0.1\"}}"
        );
    }
    text
}

/// The port in `docker port`'s answer, e.g. `127.0.0.1:49153`.
pub fn mapped_port(answer: &str) -> Option<u16> {
    answer.lines().find_map(|line| line.trim().rsplit_once(':')?.1.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_port_is_mapped() {
        let text = of(&[30000, 30443]);
        assert_eq!(text.matches("hostPort: 0").count(), 2);
        assert!(text.contains("containerPort: 30443"));
        assert!(!of(&[]).contains("extraPortMappings"));
    }

    #[test]
    fn the_mapped_port_is_read() {
        assert_eq!(mapped_port("127.0.0.1:49153\n"), Some(49153));
        assert_eq!(mapped_port("[::1]:49154\n"), Some(49154));
        assert_eq!(mapped_port(""), None);
        assert_eq!(mapped_port("Error: No public port\n"), None);
    }
}

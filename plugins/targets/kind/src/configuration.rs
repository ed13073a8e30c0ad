//! What a created cluster looks like.

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
}

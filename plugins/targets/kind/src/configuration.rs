//! Configuration of a created cluster.

use std::fmt::Write;

/// Writes kind's configuration: one node, with each node port published on a free port of this machine. Clusters do not
/// conflict, because no port is fixed.
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
    fn each_node_port_is_published() {
        let text = of(&[30000, 30443]);
        assert_eq!(text.matches("hostPort: 0").count(), 2);
        assert!(text.contains("containerPort: 30443"));
        assert!(!of(&[]).contains("extraPortMappings"));
    }
}

//! The nodes of kind clusters, inspected without the host: their containers, and the images in them.

use std::process::{Command, Output};

/// A node that is a container.
#[derive(Clone, Debug)]
pub struct Node(pub String);

impl Node {
    /// Runs a program in the node.
    fn run(&self, words: &[&str]) -> Output {
        docker(&[&["exec", &self.0], words].concat())
    }

    /// Whether the node runs a process with this text in its command line.
    pub fn runs(&self, text: &str) -> bool {
        self.run(&["pgrep", "-f", text]).status.success()
    }

    /// Whether the node's store has an image that was built on this machine.
    pub fn has_image(&self, reference: &str) -> bool {
        let images = self.run(&["ctr", "--namespace=k8s.io", "images", "list", "--quiet"]);
        assert!(images.status.success(), "{images:?}");
        let full = full_name(reference);
        String::from_utf8(images.stdout).unwrap().lines().any(|name| name == full)
    }

    /// Removes an image from the node's store, with the layers that no other image uses.
    pub fn remove_image(&self, reference: &str) {
        let full = full_name(reference);
        let removed = self.run(&["ctr", "--namespace=k8s.io", "images", "rm", "--sync", &full]);
        assert!(removed.status.success(), "{removed:?}");
        assert!(!self.has_image(reference));
    }

    /// Kills the node's container.
    pub fn stop(&self) {
        let stopped = docker(&["stop", "--time", "0", &self.0]);
        assert!(stopped.status.success(), "{stopped:?}");
    }
}

/// Whether the engine has a running container of this name.
pub fn is_running(name: &str) -> bool {
    let state = docker(&["inspect", "--format", "{{.State.Running}}", name]);
    String::from_utf8_lossy(&state.stdout).trim() == "true"
}

/// Whether the engine has a container of this name.
pub fn is_there(name: &str) -> bool {
    docker(&["inspect", "--format", "{{.Name}}", name]).status.success()
}

/// Runs `docker` on the engine.
pub fn docker(words: &[&str]) -> Output {
    Command::new("docker").args(words).output().unwrap()
}

fn full_name(reference: &str) -> String {
    format!("docker.io/library/{reference}")
}

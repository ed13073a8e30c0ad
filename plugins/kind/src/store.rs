//! What the nodes' own image stores have.

use crate::nodes::Node;
use std::collections::BTreeSet;
use std::time::Duration;
use todohost_plugin::Result;
use todohost_plugin::process::Command;

/// Names of the images in one node's store.
pub type Store = BTreeSet<String>;

/// The stores of the nodes, in their order.
///
/// # Errors
/// When a node cannot be asked.
pub fn of(nodes: &[Node]) -> Result<Vec<Store>> {
    nodes
        .iter()
        .map(|node| {
            let output = Command::new("docker")
                .args([
                    "exec",
                    &node.name,
                    "ctr",
                    "--namespace=k8s.io",
                    "images",
                    "list",
                    "--quiet",
                ])
                .timeout(Duration::from_secs(30))
                .run()?;
            if !output.success() {
                let message = format!("the node {} cannot say which images it has", node.name);
                return Err(output.to_error("kind.images-unknown", message));
            }
            Ok(output.stdout_text().lines().map(|line| line.trim().to_owned()).collect())
        })
        .collect()
}

/// Whether every node has an image. Its tag is named after its content, so having the name is having it.
pub fn in_all(stores: &[Store], reference: &str) -> bool {
    let name = full_name(reference);
    !stores.is_empty() && stores.iter().all(|store| store.contains(&name))
}

/// A reference as the node's store has it: with registry, repository and tag.
pub fn full_name(reference: &str) -> String {
    let (first, rest) = reference.split_once('/').unwrap_or(("", reference));
    let has_registry = first.contains(['.', ':']) || first == "localhost";
    let name = match (has_registry, first) {
        (true, _) => reference.to_owned(),
        (false, "") => format!("docker.io/library/{rest}"),
        (false, _) => format!("docker.io/{reference}"),
    };
    let tagged = name.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    if tagged { name } else { format!("{name}:latest") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_as_the_store_does() {
        assert_eq!(full_name("todo:1"), "docker.io/library/todo:1");
        assert_eq!(full_name("team/todo"), "docker.io/team/todo:latest");
        assert_eq!(full_name("localhost:5000/todo:1"), "localhost:5000/todo:1");
        assert_eq!(full_name("ghcr.example/team/todo:1"), "ghcr.example/team/todo:1");
    }

    #[test]
    fn an_image_has_to_be_on_every_node() {
        let with = Store::from(["docker.io/library/a:1".to_owned()]);
        assert!(in_all(&[with.clone(), with.clone()], "a:1"));
        assert!(!in_all(&[with, Store::new()], "a:1"));
        assert!(!in_all(&[], "a:1"));
    }
}

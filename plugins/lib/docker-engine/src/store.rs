//! Image stores of nodes that are containers: lists, delivers and deletes images.

use std::collections::BTreeSet;
use std::time::Duration;
use todohost_plugin::log::Progress;
use todohost_plugin::process::{self, Command, SinkOutput};
use todohost_plugin::target::Delivered;
use todohost_plugin::{Image, Result};

/// Container runtime of a node, which owns the image store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// containerd; images of Kubernetes are in the namespace `k8s.io`.
    Containerd,
    /// A Docker engine in the node.
    Docker,
}

impl Runtime {
    /// Command that prints the names of all images, one per line.
    const fn list(self) -> &'static [&'static str] {
        match self {
            Self::Containerd => &["ctr", "--namespace=k8s.io", "images", "list", "--quiet"],
            Self::Docker => &["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"],
        }
    }

    /// Command that prints the digests of all blobs, one per line. `None` if the runtime needs complete archives.
    const fn contents(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Containerd => Some(&["ctr", "--namespace=k8s.io", "content", "list", "--quiet"]),
            Self::Docker => None,
        }
    }

    /// Command that prints the names and digests of all images. `None` if removing the names deletes an image.
    const fn table(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Containerd => Some(&["ctr", "--namespace=k8s.io", "images", "list"]),
            Self::Docker => None,
        }
    }

    /// Command that removes the names given as arguments.
    const fn remove(self) -> &'static [&'static str] {
        match self {
            Self::Containerd => &["ctr", "--namespace=k8s.io", "images", "remove"],
            Self::Docker => &["docker", "image", "rm"],
        }
    }

    /// Command that imports an archive of images.
    const fn import(self) -> &'static [&'static str] {
        match self {
            Self::Containerd => {
                &["ctr", "--namespace=k8s.io", "images", "import", "--all-platforms", "-"]
            }
            Self::Docker => &["docker", "load", "--quiet"],
        }
    }
}

/// Full names of the images in one node's store.
pub type Store = BTreeSet<String>;

/// Lists the images in the stores of the nodes, in the order of the nodes.
///
/// # Errors
/// Fails with `node.images-unknown` if a node cannot list its images.
pub fn of(nodes: &[String], runtime: Runtime) -> Result<Vec<Store>> {
    nodes
        .iter()
        .map(|node| {
            let output = in_node(node, runtime.list()).run()?;
            if !output.success() {
                let message = format!("cannot list the images on the node {node}");
                return Err(output.to_error("node.images-unknown", message));
            }
            Ok(names(&output.stdout_text()))
        })
        .collect()
}

/// Returns those of the images that are missing on at least one node.
///
/// # Errors
/// Fails like [`of`].
pub fn missing(nodes: &[String], runtime: Runtime, images: Vec<Image>) -> Result<Vec<Image>> {
    let stores = of(nodes, runtime)?;
    Ok(images.into_iter().filter(|image| !in_all(&stores, &image.reference)).collect())
}

/// Streams images from the engine's store into the stores of all nodes that lack one, at the same time and without a
/// temporary file. Each node receives only the layers that it lacks.
///
/// # Errors
/// Fails like [`of`], and with `node.load-failed` if a node cannot import the images.
pub fn deliver(nodes: &[String], runtime: Runtime, images: Vec<Image>) -> Result<Vec<Delivered>> {
    let stores = of(nodes, runtime)?;
    let lacking: Vec<&str> = images
        .iter()
        .map(|image| image.reference.as_str())
        .filter(|reference| !in_all(&stores, reference))
        .collect();
    let has_all = |store: &Store| lacking.iter().all(|one| store.contains(&full_name(one)));
    let needy: Vec<&str> = nodes
        .iter()
        .zip(&stores)
        .filter(|(_, store)| !has_all(store))
        .map(|(node, _)| node.as_str())
        .collect();
    // All images are in one archive and can share layers, so all bytes count for the first image.
    let mut sent = Some(if needy.is_empty() { 0 } else { send(&needy, runtime, &lacking)? });
    let delivered = |image: Image| {
        let already_there = in_all(&stores, &image.reference);
        let bytes_sent = if already_there { 0 } else { sent.take().unwrap_or_default() };
        Delivered { reference: image.reference, already_there, bytes_sent }
    };
    Ok(images.into_iter().map(delivered).collect())
}

/// Streams images to the nodes, and returns the number of bytes.
fn send(nodes: &[&str], runtime: Runtime, references: &[&str]) -> Result<u64> {
    let (count, nodes_list) = (references.len(), nodes.join(", "));
    let _progress = Progress::new(&format!("copy {count} images to {nodes_list}"));
    let mut sinks = Vec::new();
    for node in nodes {
        sinks.push((import(node, runtime), contents(node, runtime)?));
    }
    let outputs = distribute(references, sinks)?;
    let mut sent: u64 = outputs.iter().map(|one| one.bytes).sum();
    // A node may have deleted a layer after it was listed. These nodes receive the complete archive.
    let failed: Vec<&str> = nodes
        .iter()
        .zip(&outputs)
        .filter(|(_, one)| !one.output.success())
        .map(|(node, _)| *node)
        .collect();
    if failed.is_empty() {
        return Ok(sent);
    }
    let sinks = failed.iter().map(|node| (import(node, runtime), Vec::new())).collect();
    for (node, one) in failed.iter().zip(distribute(references, sinks)?) {
        sent += one.bytes;
        if !one.output.success() {
            let message = format!("cannot load the images into the node {node}");
            return Err(one.output.to_error("node.load-failed", message).help(DISK));
        }
    }
    Ok(sent)
}

/// Deletes images on all nodes, and returns the references of those that were deleted on at least one node.
///
/// # Errors
/// Fails like [`of`].
pub fn remove(nodes: &[String], runtime: Runtime, images: &[Image]) -> Result<Vec<String>> {
    let before = of(nodes, runtime)?;
    let there = |store: &Store, image: &&Image| store.contains(&full_name(&image.reference));
    for (node, store) in nodes.iter().zip(&before) {
        let mut names: Vec<String> = images
            .iter()
            .filter(|image| there(store, image))
            .map(|image| full_name(&image.reference))
            .collect();
        if names.is_empty() {
            continue;
        }
        if let Some(table) = runtime.table() {
            let table = in_node(node, table).run()?;
            names.extend(aliases(&table.stdout_text(), &names));
        }
        let _ = in_node(node, runtime.remove()).args(names).run()?;
    }
    let after = of(nodes, runtime)?;
    let went = |image: &&Image| {
        before.iter().zip(&after).any(|(then, now)| there(then, image) && !there(now, image))
    };
    Ok(images.iter().filter(went).map(|image| image.reference.clone()).collect())
}

fn in_node(node: &str, command: &[&str]) -> Command {
    Command::new("docker")
        .args(["exec", node])
        .args(command.iter().copied())
        .timeout(Duration::from_secs(30))
}

/// Returns the digest names of images of which all other names are in `names`. Kubernetes adds a digest name to each
/// image, which keeps the content after the other names are removed.
fn aliases(table: &str, names: &[String]) -> Vec<String> {
    let rows = || {
        table.lines().skip(1).filter_map(|line| {
            let mut columns = line.split_whitespace();
            Some((columns.next()?, columns.nth(1)?))
        })
    };
    let stays = |name: &str| !name.starts_with("sha256:") && !names.iter().any(|one| one == name);
    let is_free = |digest: &str| {
        rows().any(|(name, of)| of == digest && names.iter().any(|one| one == name))
            && !rows().any(|(name, of)| of == digest && stays(name))
    };
    rows()
        .filter(|(name, digest)| name.starts_with("sha256:") && is_free(digest))
        .map(|(name, _)| name.to_owned())
        .collect()
}

const DISK: &str = "check the disk with `docker system df`, then run the deploy again";

fn distribute(references: &[&str], sinks: Vec<(Command, Vec<String>)>) -> Result<Vec<SinkOutput>> {
    let distributed = process::distribute(&save(references), sinks)?;
    if !distributed.source.success() {
        let message = format!("cannot save {} from the engine", references.join(", "));
        return Err(distributed.source.to_error("node.save-failed", message).help(DISK));
    }
    Ok(distributed.sinks)
}

fn import(node: &str, runtime: Runtime) -> Command {
    Command::new("docker")
        .args(["exec", "--interactive", node])
        .args(runtime.import().iter().copied())
        .timeout(Duration::from_mins(10))
}

/// Lists the blobs on a node by their paths in an archive of images. Snapshots are not listed, because they cannot
/// become an image again.
fn contents(node: &str, runtime: Runtime) -> Result<Vec<String>> {
    let Some(list) = runtime.contents() else { return Ok(Vec::new()) };
    let output = in_node(node, list).run()?;
    // If the list fails, the node receives the complete archive.
    Ok(if output.success() { blobs(&output.stdout_text()) } else { Vec::new() })
}

fn blobs(text: &str) -> Vec<String> {
    let digests = text.lines().filter_map(|line| line.trim().split_once(':'));
    digests.map(|(algorithm, digest)| format!("blobs/{algorithm}/{digest}")).collect()
}

/// Command that prints an archive of the engine's images.
pub fn save(references: &[&str]) -> Command {
    Command::new("docker")
        .arg("save")
        .args(references.iter().copied())
        .timeout(Duration::from_mins(10))
}

/// Parses names of images, one per line, into full names.
pub fn names(text: &str) -> Store {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(full_name).collect()
}

/// Reports whether every node has an image. The name is sufficient, because the tag is derived from the content.
pub fn in_all(stores: &[Store], reference: &str) -> bool {
    let name = full_name(reference);
    !stores.is_empty() && stores.iter().all(|store| store.contains(&name))
}

/// The form of a reference in the node's store: with registry, repository and tag.
fn full_name(reference: &str) -> String {
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
    fn full_name_has_registry_and_tag() {
        assert_eq!(full_name("todo:1"), "docker.io/library/todo:1");
        assert_eq!(full_name("team/todo"), "docker.io/team/todo:latest");
        assert_eq!(full_name("localhost:5000/todo:1"), "localhost:5000/todo:1");
        assert_eq!(full_name("ghcr.example/team/todo:1"), "ghcr.example/team/todo:1");
    }

    #[test]
    fn short_and_full_names_are_equal() {
        let store = names("todo:1\r\n\ndocker.io/team/todo:2\n");
        assert!(in_all(std::slice::from_ref(&store), "todo:1"));
        assert!(in_all(std::slice::from_ref(&store), "team/todo:2"));
        assert_eq!(store.len(), 2);
    }

    #[test]
    fn blobs_have_the_paths_of_an_archive() {
        assert_eq!(blobs("sha256:ab\n sha512:cd \n\n"), ["blobs/sha256/ab", "blobs/sha512/cd"]);
    }

    #[test]
    fn digest_name_is_removed_with_the_last_other_name() {
        let table = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n\
            docker.io/library/todo:1 application/x sha256:aa 1 MiB linux/amd64 -\n\
            sha256:11 application/x sha256:aa 1 MiB linux/amd64 -\n\
            docker.io/library/todo:2 application/x sha256:bb 1 MiB linux/amd64 -\n\
            docker.io/library/todo:latest application/x sha256:bb 1 MiB linux/amd64 -\n\
            sha256:22 application/x sha256:bb 1 MiB linux/amd64 -\n";
        let names = ["todo:1", "todo:2"].map(full_name);
        assert_eq!(aliases(table, &names), ["sha256:11"]);
        assert_eq!(aliases(table, &["todo:3"].map(full_name)), [""; 0]);
    }

    #[test]
    fn image_must_be_on_every_node() {
        let with = names("a:1");
        assert!(in_all(&[with.clone(), with.clone()], "a:1"));
        assert!(!in_all(&[with, Store::new()], "a:1"));
        assert!(!in_all(&[], "a:1"));
    }
}

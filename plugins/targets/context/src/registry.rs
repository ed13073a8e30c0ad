//! Images in the registry that their names begin with: which are there, and pushing those that are not.

use std::time::Duration;
use todohost_docker_engine as engine;
use todohost_plugin::log::Progress;
use todohost_plugin::process::Command;
use todohost_plugin::target::Delivered;
use todohost_plugin::{Error, Image, Result};

/// Those of the images that their registry does not have.
///
/// # Errors
/// When an image's name does not say which registry, or a registry does not answer.
pub fn missing(images: Vec<Image>) -> Result<Vec<Image>> {
    let mut missing = Vec::new();
    for image in images {
        if !has(&image.reference)? {
            missing.push(image);
        }
    }
    Ok(missing)
}

fn has(reference: &str) -> Result<bool> {
    let registry = named_in(reference)?;
    let output = Command::new("docker")
        .args(["manifest", "inspect", reference])
        .timeout(Duration::from_secs(30))
        .run()?;
    if output.success() {
        return Ok(true);
    }
    let stderr = output.stderr_text();
    if says_missing(&stderr) {
        return Ok(false);
    }
    Err(Error::unavailable(
        "context.registry-unavailable",
        format!("the registry {registry} cannot say whether it has {reference}"),
    )
    .because(stderr.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned))
    .help(format!("see whether it answers: docker manifest inspect {reference}")))
}

/// A registry says so in several ways; one that wants to know first who asks may not say more than that.
fn says_missing(stderr: &str) -> bool {
    const SIGNS: [&str; 6] = [
        "no such manifest",
        "manifest unknown",
        "name unknown",
        "not found",
        "denied",
        "unauthorized",
    ];
    let stderr = stderr.to_lowercase();
    SIGNS.iter().any(|sign| stderr.contains(sign))
}

/// Pushes images from the engine's store; the engine sends only layers that the registry lacks.
///
/// # Errors
/// `context.push-failed`, with what the registry said.
pub fn push(images: Vec<Image>) -> Result<Vec<Delivered>> {
    let progress = Progress::with_total("push images", images.len() as u64);
    let mut delivered = Vec::new();
    for image in images {
        let registry = named_in(&image.reference)?;
        progress.message(&image.reference);
        let output = Command::new("docker")
            .args(["push", "--quiet", &image.reference])
            .timeout(Duration::from_mins(20))
            .run()?;
        if !output.success() {
            engine::require()?;
            let message = format!("the registry {registry} did not take {}", image.reference);
            return Err(output
                .to_error("context.push-failed", message)
                .help(format!("log in: docker login {registry}; then run the deploy again")));
        }
        progress.advance(1);
        let Image { reference, size, .. } = image;
        delivered.push(Delivered { reference, already_there: false, bytes_sent: size });
    }
    Ok(delivered)
}

/// The registry that a reference begins with.
fn named_in(reference: &str) -> Result<&str> {
    let registry = reference.split_once('/').map(|(first, _)| first);
    registry.filter(|first| first.contains(['.', ':']) || *first == "localhost").ok_or_else(|| {
        Error::invalid_input(
            "context.no-registry",
            format!("the name of the image {reference} does not say in which registry it goes"),
        )
        .help(
            "name it so in todohost.toml, e.g. [images.\"registry.example/team/web\"]; and let the chart's pull \
             policy be IfNotPresent, as Never would not fetch it",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_to_name_its_registry() {
        assert_eq!(named_in("registry.example/team/web:1").unwrap(), "registry.example");
        assert_eq!(named_in("localhost:5000/web:1").unwrap(), "localhost:5000");
        assert_eq!(named_in("localhost/web:1").unwrap(), "localhost");
        for reference in ["web:1", "team/web:1"] {
            let error = named_in(reference).unwrap_err();
            assert_eq!(error.code, "context.no-registry");
            assert!(error.help.unwrap().contains("IfNotPresent"));
        }
    }

    #[test]
    fn a_missing_image_is_no_silent_registry() {
        assert!(says_missing("no such manifest: registry.example/web:1"));
        assert!(says_missing("errors:\ndenied: requested access to the resource is denied\n"));
        assert!(says_missing("manifest unknown: Manifest unknown"));
        assert!(!says_missing("dial tcp: lookup registry.example: no such host"));
        assert!(!says_missing("connect: connection refused"));
    }
}

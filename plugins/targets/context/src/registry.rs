//! Images in the registry that their names contain: finds and pushes the missing ones.

use std::time::Duration;
use todohost_docker_engine as engine;
use todohost_plugin::log::Progress;
use todohost_plugin::process::Command;
use todohost_plugin::target::Delivered;
use todohost_plugin::{Error, Image, Result};

/// Returns those of the images that their registry does not have.
///
/// # Errors
/// Fails if the name of an image does not contain a registry, or a registry does not answer.
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
    if reports_missing(&stderr) {
        return Ok(false);
    }
    Err(Error::unavailable(
        "context.registry-unavailable",
        format!("cannot read from the registry {registry} whether {reference} exists"),
    )
    .because(stderr.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned))
    .help(format!("try it by hand: docker manifest inspect {reference}")))
}

/// Reports whether the registry does not have the image. A registry that needs a login may answer `denied` for a
/// missing image.
fn reports_missing(stderr: &str) -> bool {
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

/// Pushes images from the engine's store. The engine sends only missing layers.
///
/// # Errors
/// Fails with `context.push-failed` and the registry's message.
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
            let message = format!("cannot push {} to the registry {registry}", image.reference);
            return Err(output.to_error("context.push-failed", message).help(format!(
                "log in with `docker login {registry}`, then run the deploy again"
            )));
        }
        progress.advance(1);
        let Image { reference, size, .. } = image;
        delivered.push(Delivered { reference, already_there: false, bytes_sent: size });
    }
    Ok(delivered)
}

/// The registry at the beginning of a reference.
fn named_in(reference: &str) -> Result<&str> {
    let registry = reference.split_once('/').map(|(first, _)| first);
    registry.filter(|first| first.contains(['.', ':']) || *first == "localhost").ok_or_else(|| {
        Error::invalid_input(
            "context.no-registry",
            format!("the name of the image {reference} has no registry"),
        )
        .help(
            "add the registry to the name in todohost.toml, e.g. [images.\"registry.example/team/web\"], and set the \
             pull policy in the chart to IfNotPresent",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_without_registry_is_refused() {
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
    fn missing_image_differs_from_unreachable_registry() {
        assert!(reports_missing("no such manifest: registry.example/web:1"));
        assert!(reports_missing("errors:\ndenied: requested access to the resource is denied\n"));
        assert!(reports_missing("manifest unknown: Manifest unknown"));
        assert!(!reports_missing("dial tcp: lookup registry.example: no such host"));
        assert!(!reports_missing("connect: connection refused"));
    }
}

//! Rows about the image that a Dockerfile builds: stages, base image, user and ports.

use crate::dockerfile::{Action, Dockerfile, Step, Variables, expand};
use crate::judgement::Judgement;
use crate::project::{Image, Project};

/// Small base images, by their whole name.
const SMALL: [&str; 4] = ["scratch", "alpine", "busybox", "wolfi-base"];

/// Words in the references of small base images.
const SMALL_WORDS: [&str; 8] =
    ["slim", "alpine", "distroless", "chainguard", "minimal", "micro", "chiseled", "static"];

/// Words in the references of images that do not run as root by default.
const ROOTLESS_WORDS: [&str; 4] = ["nonroot", "rootless", "unprivileged", "chainguard"];

/// Each image has a readable Dockerfile.
pub fn dockerfile(project: &Project) -> Judgement {
    let mut judgement = Judgement::or_not_judged("the project builds no image");
    for image in &project.images {
        match &image.dockerfile {
            Ok(dockerfile) => {
                let stages = dockerfile.stages.len();
                judgement.evidence(&image.location(), format!("{}, stages: {stages}", image.name));
            }
            Err(error) => judgement.fault(
                &image.location(),
                format!("{} has no usable Dockerfile: {}", image.name, error.reason),
            ),
        }
    }
    judgement
}

/// The image copies the build output from another stage.
pub fn stages(project: &Project) -> Judgement {
    each(project, |_, dockerfile, judgement| {
        let taken = dockerfile.image_steps().find(|step| {
            matches!(&step.action, Action::Copy { from: Some(from), .. } if dockerfile.find(from).is_some())
        });
        match (taken, dockerfile.image().last()) {
            (Some(step), _) => judgement.evidence(&step.location, step.text.clone()),
            (None, Some(last)) if dockerfile.stages.len() > 1 => {
                judgement.fault(&last.location, "the last stage copies nothing from another stage");
            }
            (None, Some(last)) => {
                judgement.fault(&last.location, "the Dockerfile has a single stage");
            }
            (None, None) => {}
        }
    })
}

/// The base image is small.
pub fn base(project: &Project) -> Judgement {
    each(project, |_, dockerfile, judgement| {
        let Some(root) = dockerfile.image().first().copied() else { return };
        if is_small(&root.base) {
            judgement.evidence(&root.location, root.base.clone());
        } else {
            judgement
                .fault(&root.location, format!("the base image {} is not a small one", root.base));
        }
    })
}

fn is_small(reference: &str) -> bool {
    let reference = reference.split('@').next().unwrap_or_default().to_ascii_lowercase();
    // The registry's host name says nothing about the image.
    let path = match reference.split_once('/') {
        Some((registry, path)) if registry.contains(['.', ':']) => path,
        _ => reference.as_str(),
    };
    let name = path.rsplit('/').next().unwrap_or_default().split(':').next().unwrap_or_default();
    let mut words = path.split(|letter: char| !letter.is_ascii_alphanumeric());
    SMALL.contains(&name)
        || words.any(|word| {
            SMALL_WORDS.contains(&word.trim_end_matches(|letter: char| letter.is_ascii_digit()))
        })
}

/// The image declares its port.
pub fn expose(project: &Project) -> Judgement {
    each(project, |image, dockerfile, judgement| {
        let exposed = dockerfile.image_steps().find(|step| matches!(step.action, Action::Expose));
        match exposed {
            Some(step) => judgement.evidence(&step.location, step.text.clone()),
            None => judgement.fault(&image.location(), format!("{} exposes no port", image.name)),
        }
    })
}

/// The image does not run as root.
pub fn user(project: &Project) -> Judgement {
    each(project, |image, dockerfile, judgement| {
        let Some((step, user)) = last_user(dockerfile) else {
            let root = dockerfile.image().first().copied();
            match root.filter(|root| ROOTLESS_WORDS.iter().any(|word| root.base.contains(word))) {
                Some(root) => judgement.evidence(&root.location, root.base.clone()),
                None => judgement.fault(
                    &image.location(),
                    format!("{} sets no USER and runs as root", image.name),
                ),
            }
            return;
        };
        match user.split(':').next().unwrap_or_default() {
            "" | "root" | "0" => {
                judgement.fault(&step.location, format!("{} runs as root", image.name));
            }
            name if name.contains('$') => {
                judgement.fault(
                    &step.location,
                    format!("cannot determine the user: {name} has no default"),
                );
            }
            _ => judgement.evidence(&step.location, step.text.clone()),
        }
    })
}

/// The last `USER` of an image, with variables expanded.
fn last_user(dockerfile: &Dockerfile) -> Option<(&Step, String)> {
    let mut variables = Variables::new();
    let mut last = None;
    for step in dockerfile.image_steps() {
        dockerfile.apply(step, &mut variables);
        if let Action::User(user) = &step.action {
            last = Some((step, expand(user, &variables)));
        }
    }
    last
}

/// Applies a rule to each readable Dockerfile. The row `dockerfile` reports the unreadable ones.
pub fn each(project: &Project, rule: impl Fn(&Image, &Dockerfile, &mut Judgement)) -> Judgement {
    let mut judgement = Judgement::or_not_judged("the project has no readable Dockerfile");
    for (image, dockerfile) in project.dockerfiles() {
        rule(image, dockerfile, &mut judgement);
    }
    judgement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_base_images_are_recognised() {
        for small in [
            "python:3.13-slim-bookworm",
            "node:22-alpine3.20",
            "alpine:3",
            "scratch",
            "gcr.io/distroless/static-debian12:nonroot",
            "cgr.dev/chainguard/go:latest",
            "registry.access.redhat.com/ubi9/ubi-minimal",
            "debian:bookworm-slim@sha256:00",
        ] {
            assert!(is_small(small), "{small}");
        }
        for large in [
            "python:3.13",
            "golang:1.26",
            "ubuntu",
            "slimmer/app:1",
            "node:22-bookworm",
            "mcr.microsoft.com/dotnet/sdk:9.0",
            "slim.example.com/python:3.13",
            "alpine/git:2",
        ] {
            assert_eq!(is_small(large), large.starts_with("alpine"), "{large}");
        }
    }
}

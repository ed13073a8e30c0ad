//! What a recipe makes of an image: its stages, what it stands on, who runs it and where it listens.

use crate::judgement::Judgement;
use crate::project::{Image, Project};
use crate::recipe::{Action, Recipe, Step, Variables, expand};

/// Bases that are small without saying so.
const SMALL: [&str; 4] = ["scratch", "alpine", "busybox", "wolfi-base"];
/// What names of small variants say.
const SMALL_WORDS: [&str; 8] =
    ["slim", "alpine", "distroless", "chainguard", "minimal", "micro", "chiseled", "static"];
/// What names of images say that give up the first user themselves.
const ROOTLESS_WORDS: [&str; 4] = ["nonroot", "rootless", "unprivileged", "chainguard"];

/// Each image has a recipe that can be read.
pub fn dockerfile(project: &Project) -> Judgement {
    let mut judgement = Judgement::unless("the project builds no image");
    for image in &project.images {
        match &image.recipe {
            Ok(recipe) => {
                let stages = recipe.stages.len();
                judgement.evidence(&image.place(), format!("{}, stages: {stages}", image.name));
            }
            Err(error) => judgement.fault(
                &image.place(),
                format!("no Dockerfile for {}: {}", image.name, error.reason),
            ),
        }
    }
    judgement
}

/// What is built in one stage is taken by another.
pub fn stages(project: &Project) -> Judgement {
    each(project, |_, recipe, judgement| {
        let taken = recipe.image_steps().find(|step| {
            matches!(&step.action, Action::Copy { from: Some(from), .. } if recipe.find(from).is_some())
        });
        match (taken, recipe.image().last()) {
            (Some(step), _) => judgement.evidence(&step.place, step.text.clone()),
            (None, Some(last)) if recipe.stages.len() > 1 => {
                judgement
                    .fault(&last.place, "the last stage takes nothing from a stage that builds");
            }
            (None, Some(last)) => {
                judgement.fault(&last.place, "one stage both builds the image and becomes it");
            }
            (None, None) => {}
        }
    })
}

/// What the image stands on is small.
pub fn base(project: &Project) -> Judgement {
    each(project, |_, recipe, judgement| {
        let Some(root) = recipe.image().first().copied() else { return };
        if is_small(&root.base) {
            judgement.evidence(&root.place, root.base.clone());
        } else {
            judgement
                .fault(&root.place, format!("the image stands on {}, no small variant", root.base));
        }
    })
}

fn is_small(reference: &str) -> bool {
    let reference = reference.split('@').next().unwrap_or_default().to_ascii_lowercase();
    // What a registry is called says nothing of its images.
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

/// The image says where it listens.
pub fn expose(project: &Project) -> Judgement {
    each(project, |image, recipe, judgement| {
        let exposed = recipe.image_steps().find(|step| matches!(step.action, Action::Expose));
        match exposed {
            Some(step) => judgement.evidence(&step.place, step.text.clone()),
            None => judgement.fault(&image.place(), format!("{} exposes no port", image.name)),
        }
    })
}

/// The image does not run as root.
pub fn user(project: &Project) -> Judgement {
    each(project, |image, recipe, judgement| {
        let Some((step, user)) = last_user(recipe) else {
            let root = recipe.image().first().copied();
            match root.filter(|root| ROOTLESS_WORDS.iter().any(|word| root.base.contains(word))) {
                Some(root) => judgement.evidence(&root.place, root.base.clone()),
                None => judgement
                    .fault(&image.place(), format!("{} sets no USER and runs as root", image.name)),
            }
            return;
        };
        match user.split(':').next().unwrap_or_default() {
            "" | "root" | "0" => {
                judgement.fault(&step.place, format!("{} runs as root", image.name));
            }
            name if name.contains('$') => {
                judgement
                    .fault(&step.place, format!("who {name} is cannot be told: it has no default"));
            }
            _ => judgement.evidence(&step.place, step.text.clone()),
        }
    })
}

/// The last `USER` of an image, with variables filled in.
fn last_user(recipe: &Recipe) -> Option<(&Step, String)> {
    let mut variables = Variables::new();
    let mut last = None;
    for step in recipe.image_steps() {
        recipe.apply(step, &mut variables);
        if let Action::User(user) = &step.action {
            last = Some((step, expand(user, &variables)));
        }
    }
    last
}

/// Judges each recipe that can be read; those that cannot are the first row's.
pub fn each(project: &Project, rule: impl Fn(&Image, &Recipe, &mut Judgement)) -> Judgement {
    let mut judgement = Judgement::unless("there is no Dockerfile to judge");
    for (image, recipe) in project.recipes() {
        rule(image, recipe, &mut judgement);
    }
    judgement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_bases_and_others() {
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

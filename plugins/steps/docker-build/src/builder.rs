//! Detects the builder, and builds the command line for it.

use todohost_plugin::build::ImageSpec;

use crate::ignore::{clean, join};

/// A builder of Docker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    /// BuildKit through buildx, with progress in JSON.
    Buildx,
    /// BuildKit through an older buildx, with progress as text.
    PlainBuildx,
    /// The engine's classic builder.
    Classic,
}

/// The builder to use, from the output of `docker buildx version`; `None` if buildx is not installed.
pub fn from_version(version: Option<&str>) -> Builder {
    let Some(version) = version else { return Builder::Classic };
    let words = version.split_whitespace();
    let numbers = words.filter_map(|word| {
        let mut parts = word.trim_start_matches('v').split(['.', '-', '+']);
        Some((parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?))
    });
    match numbers.into_iter().next() {
        // buildx 0.13 added `--progress=rawjson`.
        Some(number) if number < (0, 13) => Builder::PlainBuildx,
        _ => Builder::Buildx,
    }
}

/// The arguments of `docker` to build this image.
pub fn arguments(builder: Builder, spec: &ImageSpec) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
    match builder {
        // Without provenance, the image is a single manifest, which every node can import.
        Builder::Buildx => {
            add(&["buildx", "build", "--load", "--provenance=false", "--progress=rawjson"]);
        }
        Builder::PlainBuildx => {
            add(&["buildx", "build", "--load", "--provenance=false", "--progress=plain"]);
        }
        Builder::Classic => add(&["build"]),
    }
    add(&["--file", &join(&spec.context, &spec.dockerfile)]);
    if let Some(stage) = &spec.stage {
        add(&["--target", stage]);
    }
    if let Some(platform) = &spec.platform {
        add(&["--platform", platform]);
    }
    for argument in &spec.arguments {
        add(&["--build-arg", &format!("{}={}", argument.key, argument.value)]);
    }
    for tag in &spec.tags {
        add(&["--tag", tag]);
    }
    let context = clean(&spec.context);
    add(&["--", if context.is_empty() { "." } else { &context }]);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use todohost_plugin::Label;

    #[test]
    fn builder_is_chosen_by_the_buildx_version() {
        for (version, builder) in [
            (None, Builder::Classic),
            (Some("github.com/docker/buildx v0.12.1 abc"), Builder::PlainBuildx),
            (Some("github.com/docker/buildx 0.13.1 0.13.1+ds1-3"), Builder::Buildx),
            (Some("github.com/docker/buildx v0.22.0-desktop.1 abc"), Builder::Buildx),
            (Some("something new"), Builder::Buildx),
        ] {
            assert_eq!(from_version(version), builder, "{version:?}");
        }
    }

    #[test]
    fn every_field_of_the_spec_becomes_an_argument() {
        let spec = ImageSpec {
            name: "web".into(),
            context: "./frontend".into(),
            dockerfile: "docker/Dockerfile".into(),
            stage: Some("runtime".into()),
            platform: Some("linux/arm64".into()),
            tags: vec!["web:latest".into(), "web:0123".into()],
            arguments: vec![Label::new("A", "b c")],
        };
        let call = arguments(Builder::Buildx, &spec).join(" ");
        assert_eq!(
            call,
            "buildx build --load --provenance=false --progress=rawjson --file frontend/docker/Dockerfile \
             --target runtime --platform linux/arm64 --build-arg A=b c --tag web:latest --tag web:0123 -- frontend"
        );
        assert!(
            arguments(Builder::Classic, &spec)
                .join(" ")
                .starts_with("build --file frontend/docker/Dockerfile")
        );
    }
}

//! The row about architectures: compares the platforms of the built images with those of the nodes.

use serde_json::Value;
use std::collections::BTreeMap;
use todohost_plugin::subject::Rendered;
use todohost_plugin::{Finding, Result};

use crate::{not_judged, unreadable};

/// Code of the row.
pub const CODE: &str = "preflight.architecture";

/// Checks the images with a known platform. `nodes` is called only if there are any.
pub fn check(rendered: &Rendered, nodes: impl FnOnce() -> Result<Vec<Value>>) -> Finding {
    let known: Vec<(&str, &str)> = rendered
        .images
        .iter()
        .filter(|image| !image.platform.is_empty())
        .map(|image| (image.reference.as_str(), plain(&image.platform)))
        .collect();
    if known.is_empty() {
        let reason = match rendered.images.as_slice() {
            [] => "the project builds no image",
            _ => {
                "the platform is known only after the build; set `platform` under [images] to check it before"
            }
        };
        return not_judged(CODE, reason);
    }
    let nodes = match nodes() {
        Ok(nodes) => nodes,
        Err(error) => return unreadable(CODE, &error),
    };
    let mut platforms: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for node in &nodes {
        let info = &node["status"]["nodeInfo"];
        if let (Some(system), Some(architecture)) =
            (info["operatingSystem"].as_str(), info["architecture"].as_str())
        {
            let name = node["metadata"]["name"].as_str().unwrap_or("?");
            platforms.entry(format!("{system}/{architecture}")).or_default().push(name);
        }
    }
    if platforms.is_empty() {
        return not_judged(CODE, "no node reports its architecture");
    }
    let lines: Vec<String> = platforms
        .iter()
        .map(|(platform, nodes)| format!("{platform}: {}", nodes.join(", ")))
        .collect();
    let node_platforms = platforms.keys().cloned().collect::<Vec<_>>().join(" and ");
    let evidence = |finding: Finding| lines.iter().fold(finding, Finding::evidence);
    if let Some((image, platform)) =
        known.iter().find(|(_, platform)| !platforms.contains_key(*platform))
    {
        let wanted = platforms.keys().next().map_or("", String::as_str);
        return evidence(Finding::failed(
            CODE,
            format!("{image} is built for {platform}, but the nodes are {node_platforms}"),
        ))
        .help(format!("set `platform = \"{wanted}\"` under [images] in todohost.toml"));
    }
    if platforms.len() > 1
        && let Some((image, platform)) = known.first()
    {
        return evidence(Finding::warning(
            CODE,
            format!("{image} is built for {platform} only, but the nodes are {node_platforms}"),
        ))
        .help("restrict its pods to matching nodes with the nodeSelector kubernetes.io/arch");
    }
    evidence(Finding::passed(
        CODE,
        format!(
            "{} of {} images are built for {node_platforms}",
            known.len(),
            rendered.images.len()
        ),
    ))
}

/// The platform as nodes report it, without a variant: `linux/arm64` for `linux/arm64/v8`.
fn plain(platform: &str) -> &str {
    match platform.match_indices('/').nth(1) {
        Some((end, _)) => &platform[..end],
        None => platform,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};
    use todohost_plugin::Outcome;
    use todohost_plugin::subject::{App, RenderedImage};

    fn checked(platforms: &[&str], nodes: &[&str]) -> Finding {
        let images = platforms.iter().map(|platform| RenderedImage {
            name: "web".into(),
            reference: "web:1".into(),
            platform: (*platform).into(),
            more: Map::new(),
        });
        let rendered = Rendered {
            app: App { name: "shop".into(), namespace: "shop".into() },
            objects: Vec::new(),
            images: images.collect(),
            target: json!({}),
        };
        let nodes = nodes.iter().map(|architecture| {
            json!({ "metadata": { "name": architecture }, "status": { "nodeInfo": {
                "operatingSystem": "linux", "architecture": architecture } } })
        });
        check(&rendered, || Ok(nodes.collect()))
    }

    #[test]
    fn image_platform_must_match_the_nodes() {
        assert_eq!(checked(&["linux/arm64/v8"], &["arm64"]).outcome, Outcome::Passed);
        let finding = checked(&["linux/amd64", "linux/arm64"], &["arm64"]);
        assert_eq!(finding.outcome, Outcome::Failed);
        assert_eq!(
            finding.message,
            "web:1 is built for linux/amd64, but the nodes are linux/arm64"
        );
        assert_eq!(checked(&["linux/amd64"], &["arm64", "amd64"]).outcome, Outcome::Warning);
    }

    #[test]
    fn unknown_platforms_are_not_judged() {
        assert_eq!(checked(&[""], &["amd64"]).outcome, Outcome::NotJudged);
        assert_eq!(checked(&[], &["amd64"]).outcome, Outcome::NotJudged);
        assert_eq!(checked(&["linux/amd64"], &[]).outcome, Outcome::NotJudged);
    }
}

//! Architectures: what an image was built for, against what the nodes are.

use serde_json::Value;
use std::collections::BTreeMap;
use todohost_plugin::subject::Rendered;
use todohost_plugin::{Finding, Result};

use crate::{not_judged, unreadable};

/// Of its row.
pub const CODE: &str = "preflight.architecture";

/// Nodes are asked for only where it is known what an image was built for.
pub fn judge(rendered: &Rendered, nodes: impl FnOnce() -> Result<Vec<Value>>) -> Finding {
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
                "nobody knows what the images are for until they are built, or the project says `platform`"
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
        return not_judged(CODE, "no node says what it is");
    }
    let lines: Vec<String> = platforms
        .iter()
        .map(|(platform, nodes)| format!("{platform}: {}", nodes.join(", ")))
        .collect();
    let told = platforms.keys().cloned().collect::<Vec<_>>().join(" and ");
    let evidence = |finding: Finding| lines.iter().fold(finding, Finding::evidence);
    if let Some((image, platform)) =
        known.iter().find(|(_, platform)| !platforms.contains_key(*platform))
    {
        let wanted = platforms.keys().next().map_or("", String::as_str);
        return evidence(Finding::failed(
            CODE,
            format!("{image} is for {platform}, and the nodes are {told}"),
        ))
        .help(format!("say `platform = \"{wanted}\"` under [images] in todohost.toml"));
    }
    if platforms.len() > 1
        && let Some((image, platform)) = known.first()
    {
        return evidence(Finding::warning(
            CODE,
            format!("{image} is for {platform} alone, and the nodes are {told}"),
        ))
        .help("let pods ask for such nodes: nodeSelector kubernetes.io/arch");
    }
    evidence(Finding::passed(
        CODE,
        format!("{} of {} images are for {told}", known.len(), rendered.images.len()),
    ))
}

/// `linux/arm64/v8` is what a node calls `linux/arm64`.
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

    fn judged(platforms: &[&str], nodes: &[&str]) -> Finding {
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
        judge(&rendered, || Ok(nodes.collect()))
    }

    #[test]
    fn an_image_runs_on_nodes_of_its_own_kind() {
        assert_eq!(judged(&["linux/arm64/v8"], &["arm64"]).outcome, Outcome::Passed);
        let finding = judged(&["linux/amd64", "linux/arm64"], &["arm64"]);
        assert_eq!(finding.outcome, Outcome::Failed);
        assert_eq!(finding.message, "web:1 is for linux/amd64, and the nodes are linux/arm64");
        assert_eq!(judged(&["linux/amd64"], &["arm64", "amd64"]).outcome, Outcome::Warning);
    }

    #[test]
    fn what_nobody_knows_is_not_judged() {
        assert_eq!(judged(&[""], &["amd64"]).outcome, Outcome::NotJudged);
        assert_eq!(judged(&[], &["amd64"]).outcome, Outcome::NotJudged);
        assert_eq!(judged(&["linux/amd64"], &[]).outcome, Outcome::NotJudged);
    }
}

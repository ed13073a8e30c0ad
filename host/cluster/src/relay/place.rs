//! The place of a relay's pod: a node that accepts pods, and images that it already has.

use serde_json::Value;

use super::RelayError;
use todohost_model::object::Object;

/// Images that are tried at the same time.
const MOST_IMAGES: usize = 5;

/// A node and images that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub namespace: String,
    pub node: String,
    /// The likeliest first.
    pub images: Vec<String>,
}

/// The node of the app's own pods, else the first that takes pods; of its images those of the app's pods, then those of
/// these repositories, then the largest: they have most programs.
pub(super) fn choose(
    namespace: &str,
    pods: &[Object],
    nodes: &[Object],
    repositories: &[String],
) -> Result<Place, RelayError> {
    let running: Vec<&Object> =
        pods.iter().filter(|pod| pod["status"]["phase"] == "Running").collect();
    let runs_pods =
        |node: &&&Object| running.iter().any(|pod| pod["spec"]["nodeName"] == *name(node));
    let fit: Vec<&Object> = nodes.iter().filter(|node| takes_pods(node)).collect();
    let node = fit.iter().find(runs_pods).or_else(|| fit.first());
    let node = node.ok_or(RelayError::NoNode)?;
    let beside = running.iter().filter(|pod| pod["spec"]["nodeName"] == *name(node));
    let mut images: Vec<String> = beside
        .flat_map(|pod| array(&pod["spec"]["containers"]))
        .filter_map(|container| container["image"].as_str().map(str::to_owned))
        .collect();
    let there = array(&node["status"]["images"]).iter().filter_map(tagged);
    let (own, others): (Vec<&str>, Vec<&str>) =
        there.partition(|image| repositories.iter().any(|wanted| is_of(image, wanted)));
    images.extend(own.into_iter().chain(others).map(str::to_owned));
    let mut seen = std::collections::BTreeSet::new();
    images.retain(|image| seen.insert(image.clone()));
    images.truncate(MOST_IMAGES);
    let node = name(node).as_str().unwrap_or_default().to_owned();
    if images.is_empty() {
        return Err(RelayError::NoImage { node });
    }
    Ok(Place { namespace: namespace.to_owned(), node, images })
}

fn name(node: &Object) -> &Value {
    &node["metadata"]["name"]
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// It is ready, and neither cordoned nor for pods of another kind.
fn takes_pods(node: &Object) -> bool {
    let conditions = array(&node["status"]["conditions"]);
    let is_down = conditions.iter().any(|it| it["type"] == "Ready" && it["status"] != "True");
    let taints = array(&node["spec"]["taints"]);
    let repels = taints.iter().any(|taint| taint["effect"] != "PreferNoSchedule");
    let system = node["metadata"]["labels"]["kubernetes.io/os"].as_str().unwrap_or("linux");
    !is_down && !repels && node["spec"]["unschedulable"] != true && system == "linux"
}

/// A name that a person gave the image; builds leave others behind.
fn tagged(image: &Value) -> Option<&str> {
    let mut names = array(&image["names"]).iter().filter_map(Value::as_str);
    names.find(|name| !name.contains('@') && !name.contains("<none>"))
}

fn is_of(image: &str, repository: &str) -> bool {
    let path =
        image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(image, |it| it.0);
    path == repository || path.ends_with(&format!("/{repository}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, images: &[&str]) -> Object {
        let images: Vec<Value> = images.iter().map(|image| json!({ "names": [image] })).collect();
        json!({ "metadata": { "name": name }, "status": { "images": images } })
    }

    fn images(pods: &[Object], nodes: &[Object]) -> Vec<String> {
        let repositories = ["shop-web".to_owned()];
        choose("shop", pods, nodes, &repositories).unwrap().images
    }

    #[test]
    fn the_apps_own_images_come_first_and_nameless_ones_not_at_all() {
        let nodes = [node(
            "a",
            &[
                "x@sha256:1",
                "big:1",
                "docker.io/library/shop-web:7",
                "<none>:<none>",
                "not-shop-web:1",
            ],
        )];
        let own = ["docker.io/library/shop-web:7", "big:1", "not-shop-web:1"];
        assert_eq!(images(&[], &nodes), own);
        let pod = |phase: &str| {
            json!({
                "spec": { "nodeName": "a", "containers": [{ "image": "shop-web:8" }] },
                "status": { "phase": phase },
            })
        };
        assert_eq!(images(&[pod("Running"), pod("Running")], &nodes)[..2], ["shop-web:8", own[0]]);
        assert_eq!(images(&[pod("Pending")], &nodes), own);
    }

    #[test]
    fn no_more_are_tried_than_a_node_starts_in_a_moment() {
        let names = ["a:1", "b:1", "c:1", "d:1", "e:1", "f:1", "g:1"];
        assert_eq!(images(&[], &[node("a", &names)]).len(), MOST_IMAGES);
    }

    #[test]
    fn the_node_takes_pods_and_has_the_apps() {
        let chosen = |pods: &[Object], nodes: &[Object]| choose("shop", pods, nodes, &[]);
        let mut bad = node("bad", &["i:1"]);
        let good = [node("good", &["i:1"]), node("better", &["i:1"])];
        for (field, value) in [
            ("spec", json!({ "unschedulable": true })),
            ("spec", json!({ "taints": [{ "key": "k", "effect": "NoSchedule" }] })),
            ("status", json!({ "conditions": [{ "type": "Ready", "status": "False" }] })),
        ] {
            let before = std::mem::replace(&mut bad[field], value);
            let nodes = [&[bad.clone()], good.as_slice()].concat();
            assert_eq!(chosen(&[], &nodes).unwrap().node, "good");
            assert!(matches!(chosen(&[], &nodes[..1]), Err(RelayError::NoNode)));
            bad[field] = before;
        }
        let pod = json!({ "spec": { "nodeName": "better" }, "status": { "phase": "Running" } });
        assert_eq!(chosen(&[pod], &good).unwrap().node, "better");
        let empty = chosen(&[], &[node("empty", &[])]);
        assert!(matches!(empty, Err(RelayError::NoImage { .. })), "{empty:?}");
    }
}

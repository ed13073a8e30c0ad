//! A third-party check of two phases: before a deploy, whether the cluster has a node; afterwards, whether every
//! Deployment has as many ready replicas as its option demands.

use serde::Deserialize;
use serde_json::Value;
use todohost_plugin::check::{CheckSpec, Phase};
use todohost_plugin::cluster::{self, Query};
use todohost_plugin::subject::Subject;
use todohost_plugin::{Check, Finding, ObjectRef, Result};

struct ReplicasCheck;

/// The options in the project file.
#[derive(Deserialize)]
#[serde(default)]
struct Options {
    ready: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { ready: 1 }
    }
}

impl Check for ReplicasCheck {
    type Options = Options;

    fn checks() -> Vec<CheckSpec> {
        vec![
            CheckSpec::new("nodes", "the cluster has nodes", [Phase::Preflight]),
            CheckSpec::new("ready", "enough replicas are ready", [Phase::Live]),
        ]
    }

    fn run(id: &str, options: Options, subject: &Subject) -> Result<Vec<Finding>> {
        if id == "nodes" {
            return nodes();
        }
        let objects = subject.live()?.objects;
        Ok(objects.iter().filter_map(|object| judge(object, options.ready)).collect())
    }
}

fn nodes() -> Result<Vec<Finding>> {
    let nodes = cluster::list(&Query {
        api_version: "v1".into(),
        kind: "Node".into(),
        namespace: None,
        label_selector: None,
        field_selector: None,
        limit: Some(1),
        continue_: None,
    })?;
    if nodes.is_empty() {
        let finding = Finding::failed("replicas-check.no-node", "the cluster has no node");
        return Ok(vec![finding.help("add a node to the cluster")]);
    }
    Ok(vec![Finding::passed("replicas-check.node", "the cluster has a node")])
}

fn judge(object: &Value, wanted: u64) -> Option<Finding> {
    if object["kind"] != "Deployment" {
        return None;
    }
    let name = object["metadata"]["name"].as_str().unwrap_or("?");
    let ready = object["status"]["readyReplicas"].as_u64().unwrap_or_default();
    let message = format!("Deployment/{name} has {ready} of {wanted} ready replicas");
    Some(if ready < wanted {
        Finding::failed("replicas-check.too-few", message)
            .help("raise its replicas, or lower the check's option `ready`")
            .object(ObjectRef::of(object))
    } else {
        Finding::passed("replicas-check.enough", message)
    })
}

todohost_plugin::export!(ReplicasCheck: check);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use todohost_plugin::Outcome;

    #[test]
    fn only_deployments_are_judged() {
        let web = json!({"kind": "Deployment", "metadata": {"name": "web"}, "status": {"readyReplicas": 2}});
        assert_eq!(judge(&web, 2).unwrap().outcome, Outcome::Passed);
        let few = judge(&web, 3).unwrap();
        assert_eq!(few.message, "Deployment/web has 2 of 3 ready replicas");
        assert_eq!(few.outcome, Outcome::Failed);
        assert!(judge(&json!({"kind": "Service"}), 1).is_none());
    }
}

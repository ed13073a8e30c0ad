//! The check `preflight`: whether the cluster can take what is about to be applied.
//!
//! Its rows foretell what the cluster would refuse, or leave waiting, once a deploy is under way. All of them together
//! read the namespace, at most one list each of Services, Nodes and Pods, and ask one access review for each kind of
//! object, or one for each verb where that is not answered with yes. What may not be read is told as not judged.

mod architectures;
mod namespace;
mod node_ports;
mod permissions;
mod resources;
mod workload;

use serde_json::Value;
use std::cell::OnceCell;
use todohost_plugin::check::{CheckSpec, Phase};
use todohost_plugin::cluster::{self, Query};
use todohost_plugin::subject::{Preflight, Rendered, Subject};
use todohost_plugin::{Check, Error, Finding, NoOptions, Outcome, Result};

/// The rows, in the order in which they are shown.
const ROWS: [(&str, &str); 5] = [
    (namespace::CODE, "Namespace"),
    (permissions::CODE, "Permissions"),
    (node_ports::CODE, "Node ports"),
    (resources::CODE, "Room on the nodes"),
    (architectures::CODE, "Architectures of images"),
];

struct PreflightCheck;

impl Check for PreflightCheck {
    type Options = NoOptions;

    fn checks() -> Vec<CheckSpec> {
        let phases = [Phase::Preflight, Phase::Rendered];
        let spec = CheckSpec::new("cluster", "The cluster can take the app", phases);
        vec![ROWS.into_iter().fold(spec, |spec, (code, title)| spec.row(code, title))]
    }

    fn run(_id: &str, _options: NoOptions, subject: &Subject) -> Result<Vec<Finding>> {
        if subject.phase() == Some("rendered") {
            return Ok(judge_objects(&subject.rendered()?));
        }
        Ok(vec![judge_namespace(&subject.preflight()?)])
    }
}

todohost_plugin::export!(PreflightCheck: check);

/// Before anything is rendered.
fn judge_namespace(preflight: &Preflight) -> Finding {
    let name = &preflight.app.namespace;
    match cluster::get(&namespace::reference(name)) {
        Ok(live) => namespace::judge(name, live.as_ref()),
        Err(error) => unreadable(namespace::CODE, &error),
    }
}

/// Once it is known which objects there will be.
fn judge_objects(rendered: &Rendered) -> Vec<Finding> {
    if rendered.target.is_null() {
        let rows = ROWS.into_iter().filter(|(code, _)| *code != namespace::CODE);
        return rows.map(|(code, _)| not_judged(code, "no cluster was reached")).collect();
    }
    let namespace = &rendered.app.namespace;
    let nodes = Listed::new("Node");
    vec![
        permissions::judge(
            namespace,
            &rendered.objects,
            |verb, kind| {
                cluster::can_i(verb, &kind.api_version, &kind.name, kind.namespace.as_deref())
            },
            || Ok(cluster::get(&namespace::reference(namespace))?.is_some()),
        ),
        node_ports::judge(rendered, || list("Service")),
        resources::judge(rendered, || nodes.get(), || list("Pod")),
        architectures::judge(rendered, || nodes.get()),
    ]
}

/// A list that several rows need, read once and only where one of them does.
struct Listed {
    kind: &'static str,
    read: OnceCell<Result<Vec<Value>>>,
}

impl Listed {
    fn new(kind: &'static str) -> Self {
        Self { kind, read: OnceCell::new() }
    }

    fn get(&self) -> Result<Vec<Value>> {
        self.read.get_or_init(|| list(self.kind)).clone()
    }
}

/// All objects of a kind of the core group.
fn list(kind: &str) -> Result<Vec<Value>> {
    cluster::list(&Query {
        api_version: "v1".into(),
        kind: kind.into(),
        namespace: None,
        label_selector: None,
        field_selector: None,
        limit: None,
        continue_: None,
    })
}

fn not_judged(code: &str, message: impl Into<String>) -> Finding {
    Finding::new(Outcome::NotJudged, code, message)
}

/// What the user may not read says nothing of the app.
fn unreadable(code: &str, error: &Error) -> Finding {
    let finding = not_judged(code, &error.message);
    error.causes.iter().fold(finding, Finding::evidence)
}

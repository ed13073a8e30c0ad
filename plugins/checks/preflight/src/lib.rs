//! The check `preflight`: whether the cluster can take the app.
//!
//! Its rows predict the requests that the cluster would reject during a deploy, and the pods that would not start. All
//! rows together read the namespace, at most one list each of Services, Nodes and Pods, and send one access review for
//! each kind of object; if that is denied, one for each verb. A row is not judged if the user cannot read its objects.

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

/// Code and title of each row, in display order.
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
        let spec = CheckSpec::new("cluster", "The cluster is ready for the app", phases);
        vec![ROWS.into_iter().fold(spec, |spec, (code, title)| spec.row(code, title))]
    }

    fn run(_id: &str, _options: NoOptions, subject: &Subject) -> Result<Vec<Finding>> {
        if subject.phase() == Some("rendered") {
            return Ok(check_objects(&subject.rendered()?));
        }
        Ok(vec![check_namespace(&subject.preflight()?)])
    }
}

todohost_plugin::export!(PreflightCheck: check);

/// The row of the phase `preflight`.
fn check_namespace(preflight: &Preflight) -> Finding {
    let name = &preflight.app.namespace;
    match cluster::get(&namespace::reference(name)) {
        Ok(live) => namespace::check(name, live.as_ref()),
        Err(error) => unreadable(namespace::CODE, &error),
    }
}

/// The rows of the phase `rendered`.
fn check_objects(rendered: &Rendered) -> Vec<Finding> {
    if rendered.target.is_null() {
        let rows = ROWS.into_iter().filter(|(code, _)| *code != namespace::CODE);
        return rows.map(|(code, _)| not_judged(code, "not connected to a cluster")).collect();
    }
    let namespace = &rendered.app.namespace;
    let nodes = Listed::new("Node");
    vec![
        permissions::check(
            namespace,
            &rendered.objects,
            |verb, kind| {
                cluster::can_i(verb, &kind.api_version, &kind.name, kind.namespace.as_deref())
            },
            || Ok(cluster::get(&namespace::reference(namespace))?.is_some()),
        ),
        node_ports::check(rendered, || list("Service")),
        resources::check(rendered, || nodes.get(), || list("Pod")),
        architectures::check(rendered, || nodes.get()),
    ]
}

/// A list that several rows use. It is read at the first use.
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

/// The finding of a row that could not read the cluster: not judged, with the error as the reason.
fn unreadable(code: &str, error: &Error) -> Finding {
    let finding = not_judged(code, &error.message);
    error.causes.iter().fold(finding, Finding::evidence)
}

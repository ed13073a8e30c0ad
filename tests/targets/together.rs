//! Several targets in one deploy, each with its own lease, events and outcome.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use todohost_testkit::{Finished, Host, Running};
use todohost_tests::real::Real;

use super::{SECRET, targets};

/// The app `shop` on all named targets.
fn shop(name: &str) -> Vec<Real> {
    let named = targets();
    assert!(named.len() > 1, "two targets are needed, not only {named:?}");
    Real::shop_on(named, name)
}

fn deploy(all: &[Real]) -> Host {
    let named = all.iter().flat_map(|real| ["--target", real.target()]);
    all[0].host().args(["deploy"]).args(named).args(SECRET).args(["--output", "json"])
}

/// The steps for one target with outcome and message, sorted by name.
fn steps(finished: &Finished, real: &Real) -> Vec<[String; 3]> {
    let over = finished.events_of("step-finished").into_iter();
    let mut steps: Vec<[String; 3]> = over
        .filter(|event| event["target"] == real.target())
        .map(|event| {
            ["step", "outcome", "detail"].map(|key| event[key].as_str().unwrap().to_owned())
        })
        .collect();
    steps.sort();
    steps
}

/// Asserts a successful deploy on a target.
fn assert_deployed(finished: &Finished, real: &Real) {
    let steps = steps(finished, real);
    assert!(steps.iter().any(|[step, outcome, _]| step == "verify" && outcome == "done"));
    assert!(!steps.iter().any(|[_, outcome, _]| outcome == "failed"), "{steps:?}");
    assert_eq!(real.revisions(), ["1 deployed"]);
    assert_eq!(real.object("deployment", "shop-web")["status"]["availableReplicas"], 1);
}

/// The lease on each target while the deploy holds it.
fn leases(all: &[Real], running: &mut Running) -> Vec<Value> {
    let mut seen = vec![Value::Null; all.len()];
    while seen.contains(&Value::Null) {
        assert!(running.runs(), "the deploy ended without a lease: {seen:?}");
        for (real, seen) in all.iter().zip(&mut seen) {
            let lease = real.object("lease", "todohost.shop");
            if lease["spec"]["holderIdentity"].is_string() {
                *seen = lease;
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    seen
}

#[test]
fn each_target_has_its_own_lease_events_and_outcome() {
    let all = shop("together");
    // A slow start gives time to read the leases.
    all[0].project.replace(
        "chart/templates/deployment.yaml",
        "periodSeconds: 1\n",
        "periodSeconds: 1\n            initialDelaySeconds: 10\n",
    );
    let mut running = deploy(&all).spawn();
    let leases = leases(&all, &mut running);
    let id = |lease: &Value| lease["metadata"]["uid"].clone();
    assert_ne!(id(&leases[0]), id(&leases[1]), "two targets lead to the same cluster");
    let finished = running.finish().expect_code(0);

    let named: Vec<&str> = all.iter().map(Real::target).collect();
    let names = |real: &Real| -> Vec<String> {
        steps(&finished, real).into_iter().map(|[step, ..]| step).collect()
    };
    for real in &all {
        assert_eq!(names(real), names(&all[0]), "{}", real.target());
        assert_deployed(&finished, real);
        assert_eq!(real.kubectl("get leases -o name"), "");
    }
    for event in finished.events() {
        let whose = event["target"].as_str();
        let is_known = whose.is_some_and(|target| named.contains(&target));
        assert!(is_known || event["step"].is_null(), "whose is this? {event}");
    }
}

#[test]
fn failure_on_one_target_does_not_affect_the_others() {
    let all = shop("apart");
    let (failing, others) = all.split_first().unwrap();
    failing.project.replace("chart/values.yaml", "ClusterIP", "NodePort");
    failing.project.replace(
        "chart/templates/service.yaml",
        "      targetPort: http\n",
        "      targetPort: http\n      nodePort: 30942\n",
    );
    let (project, target) = (Arc::clone(&failing.project), failing.target());
    let other = Real::on(project, target, failing.context(), "shop-other");
    other.kubectl("create namespace shop-other");
    other.kubectl("create service nodeport other --tcp=80:80 --node-port=30942");

    let finished = deploy(&all).run().expect_code(10);
    let failed: Vec<[String; 3]> = steps(&finished, failing)
        .into_iter()
        .filter(|[_, outcome, _]| outcome == "failed")
        .collect();
    let [[step, ..]] = failed.as_slice() else { panic!("{failed:?}") };
    assert_eq!(step, "apply", "{failed:?}");
    let end = finished.events().pop().unwrap();
    assert!(end["error"].to_string().contains("30942"), "{end:#}");
    failing.assert_nothing_left();
    for real in others {
        assert_deployed(&finished, real);
    }

    // After removal of the cause the same command succeeds, without repeating the finished targets.
    other.kubectl("delete service other");
    let finished = deploy(&all).run().expect_code(0);
    assert_deployed(&finished, failing);
    let end = finished.events().pop().unwrap();
    for real in others {
        let expected = format!("nothing changed: shop runs on {}, revision 1", real.target());
        assert!(end["summary"].as_str().unwrap().contains(&expected), "{end:#}");
        assert_eq!(real.revisions(), ["1 deployed"]);
    }
}

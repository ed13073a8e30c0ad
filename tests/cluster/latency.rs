//! How soon the cause of a failure is on the screen, counted from the first word that the cluster has of it: the kubelet's
//! event, or the end of the container.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::Value;
use todohost_tests::real::Real;

const TEMPLATE: &str = "chart/templates/deployment.yaml";

/// Longest time from the cluster's word to ours.
const SOON: Duration = Duration::from_secs(10);

/// An image, a container's state or a hook that goes wrong, and the words by which the cause is recognised.
fn is_told_soon(name: &str, words: &str, spoil: impl Fn(&Real)) {
    let real = Real::shop(&format!("told-{name}"));
    spoil(&real);
    let began = SystemTime::now();
    let finished = real
        .deploy()
        .args(["--set", "secrets.databaseUrl=postgresql://shop:pass-of-test@db.example/shop"])
        .args(["--output", "json", "--keep"])
        .run();
    assert_ne!(finished.code(), Some(0), "{}", finished.output());
    let events = finished.events();
    let told = events.iter().find(|event| {
        // What the container itself prints is no cause.
        event["event"] != "step-output" && event.to_string().contains(words)
    });
    let told = told.unwrap_or_else(|| panic!("nobody says {words}:\n{}", finished.output()));
    let told_at = began + Duration::from_millis(told["at_ms"].as_u64().unwrap());
    let reported_at = first_report(&real);
    let took = told_at.duration_since(reported_at).unwrap_or_default();
    assert!(took < SOON, "{took:?}: {told:#}\n{}", finished.output());
}

/// When the cluster first had a word about a fault in the namespace. It counts in whole seconds.
fn first_report(real: &Real) -> SystemTime {
    let items = |kind: &str| -> Vec<Value> {
        let list: Value =
            serde_json::from_str(&real.kubectl(&format!("get {kind} -o json"))).unwrap();
        list["items"].as_array().unwrap().clone()
    };
    let events = items("events").into_iter().filter(|event| {
        event["type"] == "Warning"
            && event["source"]["component"] == "kubelet"
            && event["reason"] == "Failed"
    });
    let reported = events.map(|event| event["firstTimestamp"].clone());
    let pods = items("pods");
    let ended = pods.iter().flat_map(|pod| {
        let statuses = pod["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
        statuses.into_iter().flat_map(|status| {
            ["state", "lastState"].map(|state| status[state]["terminated"]["finishedAt"].clone())
        })
    });
    let times = reported.chain(ended).filter_map(|time| time.as_str()?.parse::<Timestamp>().ok());
    SystemTime::from(times.min().unwrap())
}

/// A container that has to end before the others start.
fn before_the_others(real: &Real, container: &str) {
    real.project.replace(
        TEMPLATE,
        "      containers:\n",
        &format!("      initContainers:\n        - name: first\n{container}      containers:\n"),
    );
}

#[test]
fn an_image_that_is_never_pulled() {
    is_told_soon("never", "ErrImageNeverPull", |real| {
        let container = "          image: never-there:1\n          imagePullPolicy: Never\n";
        before_the_others(real, container);
    });
}

#[test]
fn an_image_that_cannot_be_pulled() {
    is_told_soon("pull", "never-there", |real| {
        let image = "          image: registry.invalid/never-there:1\n";
        before_the_others(real, &format!("{image}          imagePullPolicy: Always\n"));
    });
}

#[test]
fn a_container_that_cannot_be_made() {
    is_told_soon("key", "mailPassword", |real| {
        real.project.replace(
            TEMPLATE,
            "          env:\n",
            "          env:\n            - name: MAIL_PASSWORD\n              valueFrom:\n                secretKeyRef: { name: shop-secrets, key: mailPassword }\n",
        );
    });
}

#[test]
fn a_container_that_is_killed_for_its_memory() {
    is_told_soon("memory", "OOMKilled", |real| {
        real.project.write(
            "web/server.py",
            "import time\nheld = []\nwhile True:\n    held.append(b'x' * (2 << 20))\n    time.sleep(0.05)\n",
        );
    });
}

#[test]
fn a_hook_that_fails() {
    is_told_soon("hook", "hook Job/import failed", |real| {
        real.project.write(
            "chart/templates/job.yaml",
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: import\n  annotations:\n    helm.sh/hook: pre-install\nspec:\n  backoffLimit: 0\n  template:\n    spec:\n      restartPolicy: Never\n      containers:\n        - name: import\n          image: \"{{ .Values.image.repository }}:{{ .Values.image.tag }}\"\n          imagePullPolicy: Never\n          command: [python3, -c, \"raise SystemExit('no such file')\"]\n",
        );
    });
}

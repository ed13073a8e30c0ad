//! Time from the cluster's first report of a failure (the kubelet's event or the container's exit) to the printed
//! cause.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::Value;
use todohost_tests::real::Real;

const TEMPLATE: &str = "chart/templates/deployment.yaml";

/// Maximum time from the cluster's report to the printed cause.
const SOON: Duration = Duration::from_secs(10);

/// Asserts that the cause, recognised by `words`, is reported within `SOON` after `spoil` broke an image, a container
/// or a hook.
fn assert_reported_soon(name: &str, words: &str, spoil: impl Fn(&Real)) {
    let real = Real::shop(&format!("latency-{name}"));
    spoil(&real);
    let began = SystemTime::now();
    let finished = real
        .deploy()
        .args(["--set", "secrets.databaseUrl=postgresql://shop:pass-of-test@db.example/shop"])
        .args(["--output", "json", "--keep"])
        .run();
    assert_ne!(finished.code(), Some(0), "{}", finished.output());
    let events = finished.events();
    let cause = events.iter().find(|event| {
        // The container's output does not count as the cause.
        event["event"] != "step-output" && event.to_string().contains(words)
    });
    let cause =
        cause.unwrap_or_else(|| panic!("no event contains {words}:\n{}", finished.output()));
    let printed_at = began + Duration::from_millis(cause["at_ms"].as_u64().unwrap());
    let reported_at = first_report(&real);
    let took = printed_at.duration_since(reported_at).unwrap_or_default();
    assert!(took < SOON, "{took:?}: {cause:#}\n{}", finished.output());
}

/// Time of the cluster's first report of a failure in the namespace, in whole seconds.
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

/// Adds an init container.
fn before_the_others(real: &Real, container: &str) {
    real.project.replace(
        TEMPLATE,
        "      containers:\n",
        &format!("      initContainers:\n        - name: first\n{container}      containers:\n"),
    );
}

#[test]
fn missing_image_is_reported_soon() {
    assert_reported_soon("never", "ErrImageNeverPull", |real| {
        let container = "          image: never-there:1\n          imagePullPolicy: Never\n";
        before_the_others(real, container);
    });
}

#[test]
fn failed_pull_is_reported_soon() {
    assert_reported_soon("pull", "never-there", |real| {
        let image = "          image: registry.invalid/never-there:1\n";
        before_the_others(real, &format!("{image}          imagePullPolicy: Always\n"));
    });
}

#[test]
fn container_creation_error_is_reported_soon() {
    assert_reported_soon("key", "mailPassword", |real| {
        real.project.replace(
            TEMPLATE,
            "          env:\n",
            "          env:\n            - name: MAIL_PASSWORD\n              valueFrom:\n                secretKeyRef: { name: shop-secrets, key: mailPassword }\n",
        );
    });
}

#[test]
fn oom_kill_is_reported_soon() {
    assert_reported_soon("memory", "OOMKilled", |real| {
        real.project.write(
            "web/server.py",
            "import time\nheld = []\nwhile True:\n    held.append(b'x' * (2 << 20))\n    time.sleep(0.05)\n",
        );
    });
}

#[test]
fn failed_hook_is_reported_soon() {
    assert_reported_soon("hook", "hook Job/import failed", |real| {
        real.project.write(
            "chart/templates/job.yaml",
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: import\n  annotations:\n    helm.sh/hook: pre-install\nspec:\n  backoffLimit: 0\n  template:\n    spec:\n      restartPolicy: Never\n      containers:\n        - name: import\n          image: \"{{ .Values.image.repository }}:{{ .Values.image.tag }}\"\n          imagePullPolicy: Never\n          command: [python3, -c, \"raise SystemExit('no such file')\"]\n",
        );
    });
}

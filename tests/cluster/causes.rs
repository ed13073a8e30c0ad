//! Causes of pods that do not become ready, as reported by a real kubelet, scheduler and controllers.

use serde_json::Value;
use todohost_testkit::{Finished, Host};
use todohost_tests::real::Real;

const TEMPLATE: &str = "chart/templates/deployment.yaml";

fn deploy(real: &Real) -> Host {
    real.deploy()
        .args(["--set", "secrets.databaseUrl=postgresql://shop:pass-of-test@db.example/shop"])
        .args(["--output", "json"])
}

/// The reported cause: the failed finding with the code `health.{code}`.
fn cause(finished: &Finished, code: &str) -> Value {
    let findings = finished.events_of("finding");
    let found = findings.into_iter().find(|finding| finding["code"] == format!("health.{code}"));
    found.unwrap_or_else(|| panic!("no finding health.{code} in:\n{}", finished.output()))
}

fn text<'a>(finding: &'a Value, part: &str) -> &'a str {
    finding[part].as_str().unwrap_or_default()
}

#[test]
fn missing_key_of_a_secret_is_reported() {
    let real = Real::shop("ready-key");
    real.project.replace(
        TEMPLATE,
        "          env:\n",
        "          env:\n            - name: MAIL_PASSWORD\n              valueFrom:\n                secretKeyRef: { name: shop-secrets, key: mailPassword }\n",
    );
    let finished = deploy(&real).run().expect_code(11);
    let cause = cause(&finished, "create-container-config-error");
    assert!(text(&cause, "message").contains("mailPassword"), "{cause:#}");
    assert!(text(&cause, "help").contains("add the key"), "{cause:#}");
    real.assert_nothing_left();
}

#[test]
fn oom_kill_is_reported_as_memory_limit() {
    let real = Real::shop("ready-memory");
    real.project.write(
        "web/server.py",
        "import time\nprint('loading', flush=True)\nheld = []\nwhile True:\n    held.append(b'x' * (2 << 20))\n    time.sleep(0.15)\n",
    );
    let finished = deploy(&real).run().expect_code(11);
    let cause = cause(&finished, "oomkilled");
    let message = text(&cause, "message");
    assert!(
        message.contains("killed 2 times at its memory limit of 64Mi while using "),
        "{cause:#}"
    );
    let used = message.rsplit(' ').next().unwrap().trim_end_matches("Mi");
    assert!((32..=64).contains(&used.parse::<u64>().unwrap()), "{cause:#}");
    assert!(text(&cause, "help").contains("above 64Mi, e.g. to 128Mi"), "{cause:#}");
    assert_eq!(cause["evidence"][0], "web | loading");
    real.assert_nothing_left();
}

#[test]
fn recovered_container_does_not_fail_the_deploy() {
    let real = Real::shop("ready-recovers");
    real.project.replace(
        TEMPLATE,
        "          envFrom:\n",
        "          volumeMounts:\n            - { name: memory, mountPath: /memory }\n          envFrom:\n",
    );
    real.project.replace(
        TEMPLATE,
        "      containers:\n",
        "      volumes:\n        - { name: memory, emptyDir: {} }\n      containers:\n",
    );
    let server = real.project.read("web/server.py");
    real.project.write(
        "web/server.py",
        &format!("import os\nif not os.path.exists('/memory/seen'):\n    open('/memory/seen', 'w').close()\n    raise SystemExit('not yet')\n{server}"),
    );
    let finished = deploy(&real).run().expect_code(0);
    let waits = finished.events_of("object-waiting");
    let seen = |state: &str| waits.iter().any(|event| event["state"] == state);
    assert!(seen("failing") && seen("ready"), "{}", finished.output());
}

#[test]
fn unschedulable_pods_are_reported() {
    let real = Real::shop("ready-room");
    real.project.replace(TEMPLATE, "requests: { cpu: 50m,", "requests: { cpu: 640,");
    real.project.replace(TEMPLATE, "limits: { cpu: 200m,", "limits: { cpu: 640,");
    let finished = deploy(&real).run().expect_code(11);
    let cause = cause(&finished, "unschedulable");
    assert!(text(&cause, "message").contains("Insufficient cpu"), "{cause:#}");
    assert!(text(&cause, "help").contains("web requests 640"), "{cause:#}");
    real.assert_nothing_left();
}

#[test]
fn exceeded_quota_is_reported() {
    let real = Real::shop("ready-quota");
    real.project.write(
        "chart/templates/quota.yaml",
        "apiVersion: v1\nkind: ResourceQuota\nmetadata:\n  name: small\nspec:\n  hard:\n    requests.cpu: 10m\n",
    );
    let finished = deploy(&real).run().expect_code(11);
    let cause = cause(&finished, "exceeded-quota");
    for part in
        ["exceeded quota: small", "requested: requests.cpu=50m", "limited: requests.cpu=10m"]
    {
        assert!(text(&cause, "message").contains(part), "no {part} in {cause:#}");
    }
    real.assert_nothing_left();
}

#[test]
fn failed_readiness_probe_is_reported() {
    let real = Real::shop("ready-probe");
    real.project.replace("web/server.py", "send_response(200)", "send_response(503)");
    let finished = deploy(&real).run().expect_code(11);
    let cause = cause(&finished, "unhealthy");
    let message = text(&cause, "message");
    assert!(
        message.contains("Readiness probe failed: HTTP probe failed with statuscode: 503"),
        "{cause:#}"
    );
    assert!(text(&cause, "help").contains("requests /health on port http"), "{cause:#}");
    assert_eq!(cause["evidence"][0], "web | serving");
    real.assert_nothing_left();
}

#[test]
fn failed_init_container_is_reported() {
    let real = Real::shop("ready-init");
    real.project.replace(
        TEMPLATE,
        "      containers:\n",
        "      initContainers:\n        - name: migrate\n          image: \"{{ .Values.image.repository }}:{{ .Values.image.tag }}\"\n          imagePullPolicy: Never\n          command: [python3, -c, \"raise SystemExit('no schema')\"]\n      containers:\n",
    );
    let finished = deploy(&real).run().expect_code(11);
    let cause = cause(&finished, "crash-loop-back-off");
    assert!(
        text(&cause, "message").starts_with("the init container migrate exited 2 times"),
        "{cause:#}"
    );
    assert_eq!(cause["evidence"][0], "migrate | no schema");
    real.assert_nothing_left();
}

#[test]
fn failed_job_is_reported() {
    let real = Real::shop("ready-job");
    real.project.write(
        "chart/templates/job.yaml",
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: import\nspec:\n  backoffLimit: 1\n  template:\n    spec:\n      restartPolicy: OnFailure\n      containers:\n        - name: import\n          image: \"{{ .Values.image.repository }}:{{ .Values.image.tag }}\"\n          imagePullPolicy: Never\n          command: [python3, -c, \"raise SystemExit('no such file')\"]\n",
    );
    let finished = deploy(&real).run().expect_code(11);
    // The Job deletes its pods when it gives up, but their logs are reported.
    let output = finished.output();
    for part in ["Job/import", "no such file"] {
        assert!(output.contains(part), "no {part} in:\n{output}");
    }
    real.assert_nothing_left();
}

//! A small app on the real cluster: interrupted, upgraded, and rolled back.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use todohost_testkit::{Finished, Host, leak};
use todohost_tests::real::Real;

const SECRET: &str = "canary-41b7aa90";

fn deploy(real: &Real) -> Host {
    real.deploy()
        .args(["--set", &format!("secrets.databaseUrl=postgresql://shop:{SECRET}@db.example/shop")])
}

fn assert_no_leak(real: &Real, finished: &Finished) {
    assert_eq!(leak::find(finished.output().as_bytes(), SECRET), None, "{}", finished.output());
    assert_eq!(leak::find_in_files(real.project.folder(), SECRET), []);
    let kept = real.kubectl("get all,configmaps,events -o json");
    assert_eq!(leak::find(kept.as_bytes(), SECRET), None, "in an object that is not a Secret");
}

/// Asserts that the failure report of revision 2 has the diagnostics and no secret.
fn assert_has_evidence(real: &Real, finished: &Finished) {
    let folder = real.project.home().join(".local/state/todohost/failed");
    let bundles: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [bundle] = bundles.as_slice() else { panic!("{bundles:?}") };
    assert!(finished.output().contains(&bundle.display().to_string()), "{}", finished.output());
    let tar = |action: &str, file: Option<&str>| {
        let output = Command::new("tar").arg(action).arg(bundle).args(file).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let files = tar("-tzf", None);
    let read = |part: &str, end: &str| -> Vec<String> {
        let named = |name: &&str| name.contains(part) && name.ends_with(end);
        files.lines().filter(named).map(|name| tar("-xzOf", Some(name))).collect()
    };
    let holds = |part: &str, end: &str, text: &str| {
        let found = read(part, end);
        assert!(
            found.iter().any(|one| one.contains(text)),
            "no {text} in {part}\n{files}\n{found:#?}"
        );
    };
    holds("/summary.txt", "", "revision   2");
    holds("/findings.json", "", "the new version cannot start");
    holds("/logs/shop-web-", "/web.log", "the new version cannot start");
    for part in ["Normal Pod/shop-web-", " Started: ", "Warning Pod/shop-web-", " BackOff: "] {
        holds("/events.txt", "", part);
    }
    holds("/objects/Pod/shop-web-", ".json", "\"restartCount\": ");
    holds("/objects/Deployment/shop-web", ".json", "\"kind\": \"Deployment\"");
    let secrets = read("/objects/Secret/", ".json");
    assert!(secrets.iter().all(|secret| !secret.contains("\"data\"")), "{secrets:#?}");
    assert_eq!(secrets.len(), 1, "{files}");
    assert_eq!(leak::find(tar("-xzOf", None).as_bytes(), SECRET), None);
}

#[test]
fn failed_upgrade_is_rolled_back() {
    let real = Real::shop("upgrade");
    let first = deploy(&real).run().expect_code(0);
    assert_no_leak(&real, &first);
    let before = real.object("deployment", "shop-web");
    real.project.write("web/server.py", "raise SystemExit('the new version cannot start')\n");
    let second = deploy(&real).run().expect_code(11);
    assert_no_leak(&real, &second);
    assert!(second.output().contains("the new version cannot start"), "{}", second.output());
    let after = real.object("deployment", "shop-web");
    assert_eq!(before["spec"], after["spec"], "{}", second.output());
    assert_eq!(after["status"]["availableReplicas"], 1);
    assert_eq!(after["status"]["unavailableReplicas"], Value::Null);
    assert_has_evidence(&real, &second);

    // The next deploy succeeds without manual work.
    real.project.append("web/server.py", "");
    real.project.write("web/server.py", "import http.server\nclass H(http.server.SimpleHTTPRequestHandler):\n    def do_GET(self):\n        self.send_response(200)\n        self.end_headers()\nhttp.server.HTTPServer(('', 8000), H).serve_forever()\n");
    let third = deploy(&real).run().expect_code(0);
    assert_no_leak(&real, &third);
}

#[test]
#[cfg(unix)]
fn interrupt_during_build_leaves_nothing() {
    let real = Real::shop("stop-build");
    real.project.write(
        "web/Dockerfile",
        "FROM python:3.13-slim-bookworm\nRUN echo long-step && sleep 120\n",
    );
    let mut running = deploy(&real).args(["--verbose"]).spawn();
    running.wait_for_output("long-step");
    running.interrupt();
    let finished = running.finish().expect_code(130);
    assert_no_leak(&real, &finished);
    real.assert_nothing_left();
}

#[test]
#[cfg(unix)]
fn interrupt_during_apply_leaves_nothing() {
    let real = Real::shop("stop-apply");
    let mut running = deploy(&real).args(["--output", "json"]).spawn();
    running.wait_for_output("object-changed");
    running.interrupt();
    let finished = running.finish().expect_code(130);
    assert_no_leak(&real, &finished);
    real.assert_nothing_left();
}

/// A deploy with pods that never become ready, to have time for an interrupt.
#[cfg(unix)]
fn interrupted_while_it_waits(real: &Real, options: &[&str]) -> Finished {
    real.project.replace(
        "chart/templates/deployment.yaml",
        "port: http\n            periodSeconds",
        "port: 8001\n            periodSeconds",
    );
    let host = deploy(real).args(["--output", "json"]).args(options);
    let mut running = host.patience(Duration::from_mins(2)).spawn();
    running.wait_for_output("object-waiting");
    running.interrupt();
    let finished = running.finish().expect_code(130);
    assert_no_leak(real, &finished);
    assert_eq!(real.kubectl("get leases -o name"), "", "{}", finished.output());
    finished
}

#[test]
#[cfg(unix)]
fn interrupt_during_verify_rolls_back() {
    let real = Real::shop("stop-verify");
    interrupted_while_it_waits(&real, &[]);
    real.assert_nothing_left();
}

#[test]
#[cfg(unix)]
fn interrupt_during_verify_with_keep_keeps_the_objects() {
    let real = Real::shop("stop-keep");
    let finished = interrupted_while_it_waits(&real, &["--keep"]);
    let expected = "kept failed revision 1";
    assert!(finished.output().contains(expected), "{}", finished.output());
    assert_eq!(real.revisions(), ["1 failed"]);
    assert!(real.object("deployment", "shop-web").is_object());
    // The next deploy continues from the kept revision.
    real.project.replace(
        "chart/templates/deployment.yaml",
        "port: 8001\n            periodSeconds",
        "port: http\n            periodSeconds",
    );
    let _ = deploy(&real).run().expect_code(0);
    assert_eq!(real.revisions(), ["1 failed", "2 deployed"]);
}

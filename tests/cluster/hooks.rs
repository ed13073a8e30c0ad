//! Chart hooks on a real cluster: run, waited for, shown, and able to stop a deploy.

use todohost_tests::real::Real;

fn job(real: &Real, name: &str) -> serde_json::Value {
    real.object("job", name)
}

#[test]
fn hook_runs_before_the_objects_and_its_output_is_shown() {
    let real = Real::parcel("hook-runs");
    let finished = real.deploy_parcel(&[]).args(["--verbose"]).run().expect_code(0);
    for part in ["migrated by hello", "Job/parcel-migrate pre-install hook completed"] {
        assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.stderr);
    }
    let before = finished.stderr.find("hook completed").unwrap();
    let applied = finished.stderr.find("Deployment/parcel created").unwrap();
    assert!(before < applied, "{}", finished.stderr);
    assert_eq!(job(&real, "parcel-migrate")["status"]["succeeded"], 1);

    // A deploy without changes runs no hooks; one with changes does.
    let first = job(&real, "parcel-migrate")["metadata"]["uid"].clone();
    let _ = real.deploy_parcel(&[]).run().expect_code(0);
    assert_eq!(job(&real, "parcel-migrate")["metadata"]["uid"], first);
    let second = real.deploy_parcel(&["greeting=again"]).run().expect_code(0);
    assert!(second.stderr.contains("pre-upgrade hook completed"), "{}", second.stderr);
    assert_ne!(job(&real, "parcel-migrate")["metadata"]["uid"], first);
    // A changed hook alone is a change as well.
    let third = real.deploy_parcel(&["greeting=again", "migrate=echo other"]).run().expect_code(0);
    assert_eq!(
        real.revisions(),
        ["1 superseded", "2 superseded", "3 deployed"],
        "{}",
        third.stderr
    );
}

#[test]
fn failed_hook_stops_a_first_deploy_without_leftovers() {
    let real = Real::parcel("hook-install");
    let finished =
        real.deploy_parcel(&["migrate=echo no table here; exit 3"]).run().expect_code(11);
    for part in ["pre-install hook Job/parcel-migrate failed", "no table here", "exit code 3"] {
        assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.stderr);
    }
    assert!(!finished.stderr.contains("Deployment/parcel created"), "{}", finished.stderr);
    real.assert_nothing_left();
}

#[test]
fn failed_hook_stops_an_upgrade_and_the_revision_stays() {
    let real = Real::parcel("hook-upgrade");
    let _ = real.deploy_parcel(&[]).run().expect_code(0);
    let serving = || -> Vec<String> {
        let pods = real.pods("parcel-").into_iter();
        pods.filter(|pod| !pod.starts_with("parcel-migrate")).collect()
    };
    let pods = serving();
    let finished = real
        .deploy_parcel(&["greeting=bye", "migrate=echo cannot migrate; exit 4"])
        .run()
        .expect_code(11);
    assert!(finished.stderr.contains("cannot migrate"), "{}", finished.stderr);
    assert_eq!(real.revisions(), ["1 deployed", "2 failed"]);
    let settings = real.object("configmap", "parcel-settings");
    assert_eq!(settings["data"]["greeting"], "hello");
    assert_eq!(serving(), pods);
    let _ = real.deploy_parcel(&["greeting=bye"]).run().expect_code(0);
    assert_eq!(real.object("configmap", "parcel-settings")["data"]["greeting"], "bye");
}

#[test]
fn chart_tests_run_on_request() {
    let real = Real::parcel("hook-test");
    let _ = real.deploy_parcel(&[]).run().expect_code(0);
    assert_eq!(real.object("pod", "parcel-check"), serde_json::Value::Null);
    let verify = || real.host().args(["verify", "--tests", "--target", real.target()]);
    let finished = verify().run().expect_code(0);
    for part in ["checked", "1 tests passed"] {
        assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.stderr);
    }
    let _ = real.deploy_parcel(&["check=echo too heavy; exit 2"]).run().expect_code(0);
    let finished = verify().run().expect_code(11);
    assert!(finished.stderr.contains("too heavy"), "{}", finished.stderr);
    assert_eq!(real.revisions(), ["1 superseded", "2 deployed"]);
}

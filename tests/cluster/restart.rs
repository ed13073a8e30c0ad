//! An API server that is killed during a deploy and starts again.
//!
//! `TODOHOST_TEST_RESTART` is a command that kills the server and ends when the new one answers. It disturbs every
//! other test on the cluster, so this test runs alone.

use std::process::Command;

use todohost_tests::real::Real;
use todohost_tests::variable;

fn restart_the_api_server() {
    let command = variable("TODOHOST_TEST_RESTART").unwrap();
    let output = Command::new("bash").args(["-c", &command]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_deploy_outlives_the_api_server() {
    let real = Real::parcel("restart");
    let _ = real.deploy_parcel(&["greeting=zero"]).run().expect_code(0);
    // Kill the server while a hook runs, and at the beginning of apply.
    for (greeting, moment) in [("one", "\"event\":\"hook\""), ("two", "apply to namespace")] {
        let value = format!("greeting={greeting}");
        let mut running =
            real.deploy_parcel(&[&value, "migrate=sleep 4"]).args(["--output", "json"]).spawn();
        running.wait_for_output(moment);
        restart_the_api_server();
        let finished = running.finish();
        let context = || format!("{moment}\n{}\n{:#?}", finished.output(), real.revisions());
        let settings = real.object("configmap", "parcel-settings");
        let is_new = settings["data"]["greeting"] == greeting;
        // The deploy succeeds, or it rolls back and reports the cause.
        assert_eq!(is_new, finished.code() == Some(0), "{}", context());
        assert_eq!(
            real.object("deployment", "parcel")["status"]["availableReplicas"],
            1,
            "{}",
            context()
        );
        let in_force = real.revisions().iter().filter(|one| one.ends_with(" deployed")).count();
        assert_eq!(in_force, 1, "{}", context());

        let again = real.deploy_parcel(&[&value, "migrate=sleep 4"]).run().expect_code(0);
        assert_eq!(
            again.stderr.contains("nothing changed"),
            is_new,
            "{}\n{}",
            context(),
            again.output()
        );
        assert_eq!(real.object("configmap", "parcel-settings")["data"]["greeting"], greeting);
    }
}

//! One deploy of a release at a time, on a real cluster: whoever begins second waits, and nobody waits for the dead.

use std::time::{Duration, Instant};

use serde_json::Value;
use todohost_testkit::{Host, Running};
use todohost_tests::real::Real;

/// A deploy that holds the lease for as long as its hook takes.
fn slow(real: &Real, host: Host) -> Running {
    let mut running = host.args(["--set", "migrate=echo on it; sleep 20", "--verbose"]).spawn();
    running.wait_for_output("on it");
    let lease = real.object("lease", "todohost.parcel");
    assert!(lease["spec"]["holderIdentity"].is_string(), "who deploys holds the lease: {lease:#}");
    running
}

fn greeting(real: &Real) -> Value {
    real.object("configmap", "parcel-settings")["data"]["greeting"].clone()
}

#[test]
fn of_two_deploys_at_once_the_second_waits_and_says_for_whom() {
    let real = Real::parcel("lease-two");
    let first = slow(&real, real.deploy_parcel(&[]).variable("USER", "ada"));
    let mut second = real.elsewhere(real.deploy_parcel(&["greeting=bye"])).spawn();
    second.wait_for_output("waiting for ada@");
    let refused = real.deploy_parcel(&[]).args(["--lock-timeout", "1s"]).run().expect_code(10);
    let told = "release parcel is being deployed by ada@";
    assert!(refused.stderr.contains(told), "{}", refused.output());
    let _ = first.finish().expect_code(0);
    let second = second.finish().expect_code(0);
    assert_eq!(real.revisions(), ["1 superseded", "2 deployed"], "{}", second.output());
    assert_eq!(greeting(&real), "bye");
    assert_eq!(real.kubectl("get leases -o name"), "");
}

#[test]
fn a_deploy_that_was_killed_on_another_machine_is_taken_over_once_its_lease_ran_out() {
    let real = Real::parcel("lease-killed");
    let first = slow(&real, real.elsewhere(real.deploy_parcel(&[])));
    first.kill();
    let _ = first.finish();
    let began = Instant::now();
    let finished = real.deploy_parcel(&["greeting=bye"]).run().expect_code(0);
    assert!(finished.stderr.contains("waiting for bob@"), "{}", finished.output());
    assert!(began.elapsed() >= Duration::from_secs(15), "it may have been alive");
    assert_eq!(real.revisions(), ["1 failed", "2 deployed"], "{}", finished.output());
    assert_eq!(greeting(&real), "bye");
    assert_eq!(real.kubectl("get leases -o name"), "");
}

#[test]
fn a_deploy_that_slept_too_long_finds_itself_replaced() {
    let real = Real::parcel("lease-slept");
    let first = slow(&real, real.deploy_parcel(&[]).variable("USER", "ada"));
    first.pause();
    let second = real.elsewhere(real.deploy_parcel(&["greeting=bye"])).run().expect_code(0);
    assert!(second.stderr.contains("waiting for ada@"), "{}", second.output());
    first.resume();
    let first = first.finish().expect_code(10);
    assert!(first.stderr.contains("took release parcel over"), "{}", first.output());
    assert_eq!(real.revisions(), ["1 failed", "2 deployed"], "{}", first.output());
    assert_eq!(greeting(&real), "bye");
}

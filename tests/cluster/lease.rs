//! One deploy of a release at a time, on a real cluster: the second one waits, and a killed deploy is taken over.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use todohost_testkit::{Host, Running};
use todohost_tests::real::Real;
use todohost_tests::variable;

/// A deploy that holds the lease while its hook runs.
fn slow(real: &Real, host: Host) -> Running {
    let mut running = host.args(["--set", "migrate=echo on it; sleep 20", "--verbose"]).spawn();
    running.wait_for_output("on it");
    let lease = real.object("lease", "todohost.parcel");
    assert!(lease["spec"]["holderIdentity"].is_string(), "the deploy holds the lease: {lease:#}");
    running
}

fn greeting(real: &Real) -> Value {
    real.object("configmap", "parcel-settings")["data"]["greeting"].clone()
}

#[test]
fn second_deploy_waits_and_names_the_holder() {
    let real = Real::parcel("lease-two");
    let first = slow(&real, real.deploy_parcel(&[]).variable("USER", "ada"));
    let mut second = real.elsewhere(real.deploy_parcel(&["greeting=bye"])).spawn();
    second.wait_for_output("waiting for ada@");
    let refused = real.deploy_parcel(&[]).args(["--lock-timeout", "1s"]).run().expect_code(10);
    let expected = "release parcel is being deployed by ada@";
    assert!(refused.stderr.contains(expected), "{}", refused.output());
    let _ = first.finish().expect_code(0);
    let second = second.finish().expect_code(0);
    assert_eq!(real.revisions(), ["1 superseded", "2 deployed"], "{}", second.output());
    assert_eq!(greeting(&real), "bye");
    assert_eq!(real.kubectl("get leases -o name"), "");
}

#[test]
fn lease_of_a_killed_remote_deploy_is_taken_over_after_expiry() {
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
fn suspended_deploy_detects_its_replacement() {
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

/// A wall clock that tests can set, without effect on the monotonic clock. `TODOHOST_TEST_CLOCK` is the path of
/// libfaketime, which is preloaded into the program.
struct Clock(PathBuf);

impl Clock {
    fn at(real: &Real, name: &str, offset: &str) -> Self {
        let clock = Self(real.project.folder().join(name));
        clock.set(offset);
        clock
    }

    /// Sets the offset from the true time, e.g. `-2h`.
    fn set(&self, offset: &str) {
        // Rename the file, so that readers never see a part of it.
        let new = self.0.with_extension("new");
        std::fs::write(&new, offset).unwrap();
        std::fs::rename(new, &self.0).unwrap();
    }

    fn given_to(&self, host: Host) -> Host {
        let library = variable("TODOHOST_TEST_CLOCK").unwrap();
        host.variable("LD_PRELOAD", library)
            .variable("FAKETIME_TIMESTAMP_FILE", &self.0)
            .variable("FAKETIME_NO_CACHE", "1")
            .variable("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }
}

#[test]
fn wall_clocks_that_jump_neither_lose_the_lease_nor_steal_it() {
    let real = Real::parcel("lease-clocks");
    let ahead = Clock::at(&real, "ahead", "+2h");
    let first = real.deploy_parcel(&[]).variable("USER", "ada");
    let first = slow(&real, ahead.given_to(first));
    let lease = real.object("lease", "todohost.parcel");
    let renewed = lease["spec"]["renewTime"].as_str().unwrap().to_owned();
    let now = jiff::Timestamp::now();
    let is_ahead = renewed.parse::<jiff::Timestamp>().unwrap() > now + Duration::from_mins(90);
    assert!(is_ahead, "the first one's clock is two hours ahead: {renewed} at {now}");

    let steady = Clock::at(&real, "steady", "+0");
    let second = real.elsewhere(real.deploy_parcel(&["greeting=bye"]));
    let mut second = steady.given_to(second).spawn();
    second.wait_for_output("waiting for ada@");
    // Set the first clock back by two hours and the second one ahead by three.
    ahead.set("+0");
    steady.set("+3h");
    let first = first.finish().expect_code(0);
    let second = second.finish().expect_code(0);
    for said in [&first.stderr, &second.stderr] {
        assert!(!said.contains("took release parcel over"), "{said}");
    }
    assert_eq!(real.revisions(), ["1 superseded", "2 deployed"], "{}", second.output());
    assert_eq!(greeting(&real), "bye");
    assert_eq!(real.kubectl("get leases -o name"), "");
}

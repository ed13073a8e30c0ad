//! One project on the real products behind the targets that `TODOHOST_TEST_TARGETS` names.
//!
//! The tests use the user's running clusters; a missing one is created, as by a deploy with `--yes`. The module
//! `clusters` creates and deletes its own. Tests of a target that is not named fail with a message that says so: skip
//! them by the name of their module.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail tests by panicking")]

#[cfg(unix)]
mod clusters;
mod each;
mod layers;
mod node;
mod together;

use std::sync::OnceLock;

use serde_json::Value;
use todohost_testkit::{Finished, Host};
use todohost_tests::real::{Real, named_targets};

/// The secret of the app `shop`.
const SECRET: [&str; 2] =
    ["--set", "secrets.databaseUrl=postgresql://shop:pass-of-test@db.example/shop"];

/// The named targets, after waiting until all of them run.
fn targets() -> &'static [String] {
    static RUNNING: OnceLock<Vec<String>> = OnceLock::new();
    RUNNING.get_or_init(|| {
        let named = named_targets();
        for real in Real::shop_on(&named, "up") {
            let is_up = listed(&real.host(), real.target())["state"] == "ready";
            if !is_up {
                let _ = real.deploy().args(SECRET).args(["--yes"]).run().expect_code(0);
            }
        }
        named
    })
}

/// Tests of kind's nodes need the target kind.
fn require_kind() {
    let named = named_targets();
    assert!(named.iter().any(|target| target == "kind"), "kind is not among {named:?}");
}

/// The entry of a target in `target list`.
fn listed(host: &Host, target: &str) -> Value {
    let listed = host.clone().args(["target", "list", "--output", "json"]).run().expect_code(0);
    let list: Value = serde_json::from_str(&listed.stdout).unwrap();
    let entry = list.as_array().unwrap().iter().find(|entry| entry["name"] == target);
    entry.unwrap_or_else(|| panic!("{target} is not listed: {list}")).clone()
}

/// A deploy that prints its events.
fn deploy(real: &Real) -> Host {
    real.deploy().args(SECRET).args(["--output", "json"])
}

/// The image that a deploy or a rollback delivered, and the bytes sent.
fn delivered(finished: &Finished) -> (String, u64) {
    let events = finished.events_of("image-delivered");
    let [event] = events.as_slice() else { panic!("{events:?}\n{}", finished.output()) };
    assert_eq!(event["already_there"], false, "{event}");
    (event["reference"].as_str().unwrap().to_owned(), event["bytes_sent"].as_u64().unwrap())
}

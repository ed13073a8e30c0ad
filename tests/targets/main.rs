//! One project on the real products behind the targets that `TODOHOST_TEST_TARGETS` names.
//!
//! The clusters are the user's own where they run; one that is not there is made, as a deploy with `--yes` does.
//! `clusters` makes and takes away some of its own. Where no target is named every test fails and says so, and so does
//! what is about a target that is not among those: leave it out by its module's name.

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

/// What every deploy of the app `shop` needs.
const SECRET: [&str; 2] =
    ["--set", "secrets.databaseUrl=postgresql://shop:pass-of-test@db.example/shop"];

/// The targets that are named, once all of them run.
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

/// What is about kind's nodes needs kind.
fn require_kind() {
    let named = named_targets();
    assert!(named.iter().any(|target| target == "kind"), "kind is not among {named:?}");
}

/// What `target list` says of a target.
fn listed(host: &Host, target: &str) -> Value {
    let told = host.clone().args(["target", "list", "--output", "json"]).run().expect_code(0);
    let list: Value = serde_json::from_str(&told.stdout).unwrap();
    let entry = list.as_array().unwrap().iter().find(|entry| entry["name"] == target);
    entry.unwrap_or_else(|| panic!("{target} is not listed: {list}")).clone()
}

/// A deploy whose events are told.
fn deploy(real: &Real) -> Host {
    real.deploy().args(SECRET).args(["--output", "json"])
}

/// The image that a deploy or a rollback brought, and how many bytes that took.
fn delivered(finished: &Finished) -> (String, u64) {
    let events = finished.events_of("image-delivered");
    let [event] = events.as_slice() else { panic!("{events:?}\n{}", finished.output()) };
    assert_eq!(event["already_there"], false, "{event}");
    (event["reference"].as_str().unwrap().to_owned(), event["bytes_sent"].as_u64().unwrap())
}

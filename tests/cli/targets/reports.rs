//! Reports about a target's work: delivered bytes, and an interrupted start.

use super::product::{BASE_BYTES, Begins, Product, all, image};

fn kind() -> Product {
    all().into_iter().find(|product| product.target == "kind").unwrap()
}

#[test]
fn delivery_event_has_the_bytes_sent() {
    let kind = kind();
    let world = kind.world(Begins::Running);
    let deployed = kind.deploy(&world, &["--output", "json"]).run().expect_code(0);
    let events = deployed.events_of("image-delivered");
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((&event["reference"], &event["already_there"]), (&image().into(), &false.into()));
    // The node already has the base layer.
    let sent = event["bytes_sent"].as_u64().unwrap();
    assert!(sent > 0 && sent < BASE_BYTES, "{event}");
}

#[cfg(unix)]
#[test]
fn interrupted_start_is_reported_as_begun() {
    let kind = kind();
    let world = kind.world(Begins::Absent);
    world.tools.set("start-holds");
    let running = kind.deploy(&world, &["--yes"]).spawn();
    world.tools.wait_for("kind create", std::time::Duration::from_secs(30));
    running.interrupt();
    let stopped = running.finish().expect_code(130);
    let expected = "it had begun to create the kind cluster todohost: the next deploy with --yes";
    assert!(stopped.stderr.contains(expected), "{}", stopped.output());
}

//! Output for programs, and output without terminal sequences.

use super::world::World;

#[test]
fn json_lines_are_events_and_hold_no_secret() {
    let world = World::new();
    let finished = world.deploy().args(["--output", "json"]).run().expect_code(0);
    world.assert_no_leak(&finished);
    let events = finished.events();
    assert_eq!(events.first().map(|event| event["event"].clone()), Some("run-started".into()));
    let last = events.last().unwrap();
    assert_eq!(last["event"], "run-finished");
    assert_eq!((&last["exit_code"], &last["revision"]), (&0.into(), &1.into()), "{last}");
    for event in &events {
        assert!(event["at_ms"].is_u64() && event["event"].is_string(), "{event}");
    }
    let started = finished.events_of("step-started").len();
    let ended = finished
        .events_of("step-finished")
        .iter()
        .filter(|event| event["outcome"] != "skipped")
        .count();
    assert_eq!(started, ended, "a step that began did not end");
}

#[test]
fn refusal_is_an_event() {
    let world = World::new();
    world.tools.set("build-fails");
    let finished = world.deploy().args(["--output", "json"]).run().expect_code(7);
    world.assert_no_leak(&finished);
    let last = finished.events().pop().unwrap();
    assert_eq!((&last["event"], &last["exit_code"]), (&"run-finished".into(), &7.into()));
    assert!(last["error"]["message"].as_str().unwrap().contains("shop-web"), "{last}");
    assert!(last["error"]["help"].is_string(), "{last}");
}

#[test]
fn output_without_a_terminal_has_no_escape_sequences() {
    let world = World::new();
    for host in [world.deploy(), world.deploy().without("NO_COLOR")] {
        let finished = host.run().expect_code(0);
        assert!(!finished.output().contains('\u{1b}'), "{:?}", finished.output());
        assert!(!finished.output().contains('\r'), "{:?}", finished.output());
    }
}

#[test]
fn escape_sequences_in_logs_are_removed() {
    let world = World::new();
    world.cluster.behaviour(
        "shop-web",
        todohost_testkit::Behaviour::Exits {
            code: 1,
            log: "\u{1b}]0;owned\u{7}\u{1b}[2Jfatal: no\n".into(),
        },
    );
    let finished = world.deploy().run().expect_code(11);
    assert!(finished.output().contains("fatal: no"), "{}", finished.output());
    assert!(!finished.output().contains(['\u{1b}', '\u{7}']), "{:?}", finished.output());
}

#[test]
fn status_names_the_revision() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let finished = world.run("status --target docker-desktop").expect_code(0);
    assert!(finished.stdout.contains("shop"), "{}", finished.output());
    assert!(finished.stdout.contains("deployed"), "{}", finished.output());
}

//! Pods that never become ready: what is said, and what is left.

use todohost_testkit::Behaviour;

use super::world::{World, assert_refusal};

#[test]
fn an_image_that_the_node_does_not_have() {
    let world = World::new();
    world.cluster.behaviour(
        "shop-web",
        Behaviour::Waiting {
            reason: "ErrImageNeverPull".into(),
            message: "Container image \"shop-web:x\" is not present with pull policy of Never"
                .into(),
        },
    );
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn a_container_that_exits() {
    let world = World::new();
    world.cluster.behaviour(
        "shop-web",
        Behaviour::Exits { code: 3, log: "starting\ncannot open /data: no such file\n".into() },
    );
    let finished = world.deploy().run();
    assert_refusal!(world, finished);
    world.assert_untouched();
}

#[test]
fn a_failed_upgrade_goes_back() {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let before = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    world.cluster.behaviour("shop-web", Behaviour::Exits { code: 1, log: "broken\n".into() });
    world.project.write("web/server", "serve otherwise\n");
    let running = world.deploy().spawn();
    // The version before is good: once it is asked for again, its pods are ready.
    let image = before["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let wanted = image.as_str().unwrap().to_owned();
    world.cluster.behaviour_of_image("shop-web", &wanted, Behaviour::Ready);
    let finished = running.finish().expect_code(11);
    world.assert_no_leak(&finished);
    let after = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_eq!(before["spec"], after["spec"], "{}", finished.output());
    assert!(finished.stderr.contains("revision 1 is in force again"), "{}", finished.output());
}

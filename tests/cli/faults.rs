//! A connection that fails: every request fails once in each way, and the deploy still succeeds without leftovers.

use todohost_testkit::{Behaviour, FaultProxy, Strike};

use super::world::World;

/// Connects the host through a proxy that fails every request once.
fn struck(world: &World, strike: Strike) -> FaultProxy {
    let proxy = FaultProxy::start(world.cluster.address(), strike);
    std::fs::write(world.project.kubeconfig(), proxy.kubeconfig("docker-desktop")).unwrap();
    proxy
}

fn survives(strike: Strike) {
    let world = World::new();
    // Pods become ready late, so that the host needs watches.
    world.cluster.behaviour("shop-web", Behaviour::Recovers { exits: 1 });
    let proxy = struck(&world, strike);
    let first = world.deploy().run();
    let strikes = proxy.struck();
    assert_eq!(first.code(), Some(0), "{strike:?}\n{}\n{strikes:#?}", first.output());
    assert!(!strikes.is_empty(), "{strike:?} struck nothing");
    assert_eq!(world.revisions(), ["1 deployed"], "{strike:?}\n{}", first.output());

    world.project.write("web/server", "serve otherwise\n");
    let proxy = struck(&world, strike);
    let second = world.deploy().run();
    assert_eq!(second.code(), Some(0), "{strike:?}\n{}\n{:#?}", second.output(), proxy.struck());
    assert_eq!(world.revisions(), ["1 superseded", "2 deployed"], "{}", second.output());
    world.assert_no_leak(&second);

    let third = world.deploy().run().expect_code(0);
    assert_eq!(world.revisions(), ["1 superseded", "2 deployed"], "{}", third.output());
}

/// A failing version is rolled back and its own cause is reported, although the connection fails as well.
fn takes_back(strike: Strike) {
    let world = World::new();
    let _ = world.deploy().run().expect_code(0);
    let before = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    let image = before["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let ready = image.as_str().unwrap().to_owned();
    world.cluster.behaviour("shop-web", Behaviour::Exits { code: 4, log: "no schema\n".into() });
    world.cluster.behaviour_of_image("shop-web", &ready, Behaviour::Ready);
    world.project.write("web/server", "serve otherwise\n");
    let proxy = struck(&world, strike);
    let finished = world.deploy().run();
    let strikes = proxy.struck();
    assert_eq!(finished.code(), Some(11), "{strike:?}\n{}\n{strikes:#?}", finished.output());
    assert!(finished.stderr.contains("exit code 4"), "{strike:?}\n{}", finished.output());
    assert!(finished.stderr.contains("rolled back to revision 1"), "{}", finished.output());
    let after = world.cluster.get("deployments.apps", "shop", "shop-web").unwrap();
    assert_eq!(before["spec"], after["spec"], "{strike:?}\n{}", finished.output());
    assert_eq!(world.revisions(), ["1 deployed", "2 failed"], "{strike:?}\n{}", finished.output());
}

macro_rules! strikes {
    ($($name:ident: $strike:ident;)*) => {
        /// Every kind of fault has its tests.
        #[test]
        fn every_fault_has_its_tests() {
            assert_eq!([$(Strike::$strike),*], Strike::ALL);
        }

        $(mod $name {
            use super::*;

            #[test]
            fn deploy_succeeds() {
                survives(Strike::$strike);
            }

            #[test]
            fn rollback_succeeds_and_reports_the_true_cause() {
                takes_back(Strike::$strike);
            }
        })*
    };
}

strikes! {
    conflict: Conflict;
    too_many_requests: TooManyRequests;
    server_error: ServerError;
    server_error_after: ServerErrorAfter;
    unavailable: Unavailable;
    lost: Lost;
    answer_lost: AnswerLost;
    half_answer: HalfAnswer;
    stalled_watch: StalledWatch;
    expired_watch: ExpiredWatch;
}

//! The contract: detected in every state, started only with consent, given images once and again after a collection,
//! reached, stopped half-way, taken away, and plain about what it cannot do.

use super::product::{BASE_BYTES, Begins, Product, all};
use crate::world::World;

#[cfg(unix)]
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// Ctrl-C while a tool is at work ends both, and nothing of the app is left.
#[cfg(unix)]
fn assert_stops(world: &World, running: todohost_testkit::Running, tool: &str) {
    let began = world.tools.wait_for(tool, PATIENCE);
    running.interrupt();
    let finished = running.finish().expect_code(130);
    assert!(!crate::world::runs(began.process), "{}", finished.output());
    world.assert_untouched();
}

/// The state that `target list` shows, and what it says of it.
fn listed(product: &Product, world: &World) -> serde_json::Value {
    let finished = world.run("target list --output json").expect_code(0);
    let list: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    let entry = list.as_array().unwrap().iter().find(|entry| entry["name"] == product.target);
    entry.unwrap_or_else(|| panic!("{} is not listed: {list}", product.target)).clone()
}

#[test]
fn a_running_one_gets_the_app_once() {
    for product in all() {
        let world = product.world(Begins::Running);
        let _ = product.deploy(&world, &[]).run().expect_code(0);
        assert_eq!(world.tools.unmatched(), Vec::<String>::new());
        let once = usize::from(product.delivery.is_some());
        assert_eq!(product.deliveries(&world), once, "{:#?}", world.tools.lines());
        let again = product.deploy(&world, &[]).run().expect_code(0);
        assert!(again.stderr.contains("nothing changed"), "{}", again.output());
        assert_eq!(product.deliveries(&world), once, "{:#?}", world.tools.lines());
        // This asks all targets, also those that this world knows nothing of.
        assert_eq!(listed(&product, &world)["state"], "ready", "{}", product.target);
    }
}

#[test]
fn only_clusters_of_this_machine_that_their_product_knows_are_local() {
    for product in all() {
        let world = product.world(Begins::Running);
        let local = product.target != "lab";
        assert_eq!(listed(&product, &world)["local"], local, "{}", product.target);
    }
}

#[test]
fn a_stopped_one_is_started_only_with_consent() {
    for product in all() {
        let world = product.world(Begins::Stopped);
        let refused = product.deploy(&world, &[]).run();
        assert!(matches!(refused.code(), Some(5 | 6)), "{}", refused.output());
        assert!(refused.stderr.contains("help:"), "{}", refused.output());
        world.assert_untouched();
        if product.target != "lab" {
            assert_eq!(listed(&product, &world)["state"], "stopped", "{}", product.target);
        }
        assert_eq!(refused.stderr.contains("--yes"), product.starts, "{}", refused.output());
        let agreed = product.deploy(&world, &["--yes"]).run();
        assert_eq!(agreed.code() == Some(0), product.starts, "{}", agreed.output());
    }
}

#[test]
fn what_is_not_there_is_created_only_with_consent() {
    for product in all() {
        let world = product.world(Begins::Absent);
        if product.target != "minikube" || product.creates {
            let state = listed(&product, &world);
            assert_eq!((&state["state"], &state["local"]), (&"absent".into(), &false.into()));
        }
        let refused = product.deploy(&world, &[]).run();
        assert!(matches!(refused.code(), Some(5 | 6)), "{}", refused.output());
        world.assert_untouched();
        if product.creates {
            assert!(refused.stderr.contains("--yes"), "{}", refused.output());
            let _ = product.deploy(&world, &["--yes"]).run().expect_code(0);
        }
    }
}

#[test]
fn a_start_that_fails_says_why_and_what_to_do() {
    for product in all().into_iter().filter(|product| product.creates) {
        let world = product.world(Begins::Absent);
        world.tools.set("start-fails");
        let failed = product.deploy(&world, &["--yes"]).run();
        assert!(!matches!(failed.code(), Some(0 | 1)), "{}", failed.output());
        assert!(failed.stderr.contains("help:"), "{}", failed.output());
        world.assert_untouched();
    }
}

#[cfg(unix)]
#[test]
fn a_start_can_be_stopped() {
    for product in all().into_iter().filter(|product| product.creates) {
        let world = product.world(Begins::Absent);
        world.tools.set("start-holds");
        let running = product.deploy(&world, &["--yes"]).spawn();
        let tool = if product.target == "kind" { "kind create" } else { "minikube start" };
        assert_stops(&world, running, tool);
    }
}

#[test]
fn images_that_were_collected_are_brought_again() {
    for product in all() {
        let world = product.world(Begins::Running);
        let _ = product.deploy(&world, &[]).run().expect_code(0);
        product.collect_images(&world);
        let apply = [
            "apply",
            "--target",
            product.target,
            "--set",
            "secrets.databaseUrl=postgresql://d.example/x",
        ];
        let refused = world.host().args(apply).run().expect_code(9);
        assert!(refused.stderr.contains("help:"), "{}", refused.output());
        let brought = product.deliveries(&world);
        let _ = product.deploy(&world, &[]).run().expect_code(0);
        let more = usize::from(product.delivery.is_some());
        assert_eq!(product.deliveries(&world), brought + more, "{:#?}", world.tools.lines());
    }
}

#[test]
fn only_layers_that_a_node_lacks_are_brought() {
    let brought = |target: &str| {
        let product = all().into_iter().find(|product| product.target == target).unwrap();
        let world = product.world(Begins::Running);
        let _ = product.deploy(&world, &[]).run().expect_code(0);
        let invocations = world.tools.invocations();
        let import = invocations.iter().find(|ran| ran.args.iter().any(|arg| arg == "import"));
        import.unwrap().input
    };
    // kind's node says that it has the base, minikube's that it has nothing.
    assert!(brought("minikube") > BASE_BYTES);
    let less = brought("kind");
    assert!(less > 0 && less < 10_000, "{less} bytes");
}

#[test]
fn images_that_do_not_arrive_end_the_deploy_before_anything_is_applied() {
    for product in all().into_iter().filter(|product| product.delivery.is_some()) {
        let world = product.world(Begins::Running);
        world.tools.set("delivery-fails");
        let failed = product.deploy(&world, &[]).run();
        assert!(!matches!(failed.code(), Some(0 | 1)), "{}", failed.output());
        assert!(failed.stderr.contains("help:"), "{}", failed.output());
        world.assert_untouched();
    }
}

#[cfg(unix)]
#[test]
fn bringing_images_can_be_stopped() {
    for product in all() {
        let Some(delivery) = product.delivery else { continue };
        let world = product.world(Begins::Running);
        world.tools.set("delivery-holds");
        let running = product.deploy(&world, &[]).spawn();
        assert_stops(&world, running, delivery);
    }
}

#[test]
fn an_open_service_has_an_address() {
    for product in all() {
        let world = product.world(Begins::Running);
        world.project.replace(
            "chart/templates/service.yaml",
            "      targetPort: http\n",
            "      targetPort: http\n      nodePort: 30000\n",
        );
        let finished =
            product.deploy(&world, &["--set", "service.type=NodePort"]).run().expect_code(0);
        assert!(finished.stderr.contains(product.address), "{}", finished.output());
    }
}

/// The commands so far that take a cluster away.
fn deletions(world: &World) -> Vec<String> {
    world.tools.lines().into_iter().filter(|line| line.contains(" delete ")).collect()
}

#[test]
fn a_cluster_is_taken_away_only_with_consent_and_by_who_makes_clusters() {
    for product in all() {
        for begins in [Begins::Running, Begins::Stopped] {
            let world = product.world(begins);
            let delete = format!("target delete {}", product.target);
            let refused = world.run(&delete);
            assert!(!matches!(refused.code(), Some(0 | 1)), "{}", refused.output());
            assert!(refused.stderr.contains("help:"), "{}", refused.output());
            assert_eq!(deletions(&world), Vec::<String>::new());
            let agreed = world.run(&format!("{delete} --yes"));
            match product.deletion {
                Some(deletion) => {
                    let agreed = agreed.expect_code(0);
                    assert_eq!(deletions(&world), [deletion]);
                    assert!(agreed.stdout.contains("is deleted"), "{}", agreed.output());
                }
                None => {
                    assert!(!matches!(agreed.code(), Some(0 | 1)), "{}", agreed.output());
                    assert!(agreed.stderr.contains("help:"), "{}", agreed.output());
                    assert_eq!(deletions(&world), Vec::<String>::new());
                }
            }
        }
    }
}

#[test]
fn what_is_not_there_is_not_taken_away() {
    for product in all() {
        let world = product.world(Begins::Absent);
        // A machine's profile is its own tool's to know: that world has none at all.
        if product.target == "minikube" && !product.creates {
            continue;
        }
        let refused = world.run(&format!("target delete {} --yes", product.target)).expect_code(5);
        assert!(refused.stderr.contains("todohost::target::absent"), "{}", refused.output());
        assert_eq!(deletions(&world), Vec::<String>::new());
    }
}

#[test]
fn a_cluster_of_elsewhere_is_not_taken_away() {
    for product in all().into_iter().filter(|product| product.target != "lab") {
        let world = product.world(Begins::Running);
        product.lead_elsewhere(&world);
        let refused = world.run(&format!("target delete {} --yes", product.target)).expect_code(2);
        assert!(refused.stderr.contains("todohost::target::not_local"), "{}", refused.output());
        assert_eq!(deletions(&world), Vec::<String>::new());
    }
}

#[test]
fn a_deletion_that_fails_says_why() {
    for product in all().into_iter().filter(|product| product.deletion.is_some()) {
        let world = product.world(Begins::Running);
        world.tools.set("delete-fails");
        let failed = world.run(&format!("target delete {} --yes", product.target));
        assert!(!matches!(failed.code(), Some(0 | 1)), "{}", failed.output());
        assert!(failed.stderr.contains("delete"), "{}", failed.output());
    }
}

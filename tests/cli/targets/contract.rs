//! The contract of a target: detection in every state, start only with consent, delivery of images once and again after
//! a garbage collection, address, interruption and kill during each tool, deletion, and clear errors for unsupported
//! operations. Ports taken by other programs are tested in `reach`.

use todohost_testkit::Rule;

use super::product::{BASE_BYTES, Begins, Product, all};
use crate::world::World;

#[cfg(unix)]
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// Kills a deploy while a tool runs; asserts that the tool ends and that no object of the app is left.
#[cfg(unix)]
fn assert_leaves_nothing(world: &World, running: todohost_testkit::Running, tool: &str) {
    let began = world.tools.wait_for(tool, PATIENCE);
    // Give the host time to register the child process, which is not observable from outside.
    std::thread::sleep(std::time::Duration::from_secs(1));
    running.kill();
    let _ = running.finish();
    let ends = std::time::Instant::now() + PATIENCE;
    while crate::world::runs(began.process) {
        assert!(std::time::Instant::now() < ends, "{tool} still runs");
        std::thread::yield_now();
    }
    world.assert_untouched();
}

/// Interrupts a deploy while a tool runs; asserts that both end and that no object of the app is left.
#[cfg(unix)]
fn assert_stops(world: &World, running: todohost_testkit::Running, tool: &str) {
    let began = world.tools.wait_for(tool, PATIENCE);
    running.interrupt();
    let finished = running.finish().expect_code(130);
    assert!(!crate::world::runs(began.process), "{}", finished.output());
    world.assert_untouched();
}

/// The target's entry in `target list`.
fn listed(product: &Product, world: &World) -> serde_json::Value {
    let finished = world.run("target list --output json").expect_code(0);
    let list: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    let entry = list.as_array().unwrap().iter().find(|entry| entry["name"] == product.target);
    entry.unwrap_or_else(|| panic!("{} is not listed: {list}", product.target)).clone()
}

#[test]
fn images_are_delivered_once_to_a_running_cluster() {
    for product in all() {
        let world = product.world(Begins::Running);
        let _ = product.deploy(&world, &[]).run().expect_code(0);
        assert_eq!(world.tools.unmatched(), Vec::<String>::new());
        let once = usize::from(product.delivery.is_some());
        assert_eq!(product.deliveries(&world), once, "{:#?}", world.tools.lines());
        let again = product.deploy(&world, &[]).run().expect_code(0);
        assert!(again.stderr.contains("nothing changed"), "{}", again.output());
        assert_eq!(product.deliveries(&world), once, "{:#?}", world.tools.lines());
        // This queries all targets, including those without scripted tools.
        assert_eq!(listed(&product, &world)["state"], "ready", "{}", product.target);
    }
}

#[test]
fn every_state_is_detected() {
    for product in all().into_iter().filter(|product| product.target != "lab") {
        let mut states = vec![
            (Begins::Running, "ready"),
            (Begins::Stopped, "stopped"),
            (Begins::Sick, "degraded"),
        ];
        if product.detects_starting {
            states.push((Begins::Starting, "starting"));
        }
        for (begins, state) in states {
            let world = product.world(begins);
            let entry = listed(&product, &world);
            let what = format!("{} {begins:?}: {entry}", product.target);
            assert_eq!(entry["state"], state, "{what}");
            assert_eq!(entry["local"], true, "{what}");
            // A starting cluster has no offer; a degraded one has an offer only if the target can repair it.
            let offers = match begins {
                Begins::Stopped => product.start.is_some(),
                Begins::Sick => product.cure.is_some(),
                _ => false,
            };
            assert_eq!(entry["offer"].is_string(), offers, "{what}");
        }
    }
}

#[test]
fn cluster_facts_are_shown_in_target_list_and_doctor() {
    for product in all() {
        let world = product.world(Begins::Running);
        let entry = listed(&product, &world);
        let (mode, runtime, nodes) = product.facts;
        assert_eq!(entry["mode"].as_str(), mode, "{entry}");
        assert_eq!(entry["runtime"].as_str(), runtime, "{entry}");
        assert_eq!(entry["nodes"], serde_json::json!(nodes), "{entry}");
        assert_eq!(entry["warnings"], serde_json::json!([]), "{entry}");
        let is_local = product.target != "lab";
        let version = is_local.then_some("v1.35.4");
        assert_eq!(entry["kubernetesVersion"].as_str(), version, "{entry}");
        let doctor = world.run(&format!("doctor --target {}", product.target));
        let row = doctor.stderr.lines().find(|line| line.starts_with("State ")).unwrap();
        for known in [mode, runtime].into_iter().flatten().chain(nodes.iter().copied()) {
            assert!(row.contains(known), "{known}: {row}");
        }
    }
}

#[test]
fn engine_with_too_few_resources_causes_a_warning() {
    for product in all().into_iter().filter(|product| product.facts.1.is_some()) {
        // The engine's size does not matter for a minikube virtual machine.
        let has_engine = product.facts.0 != Some("kvm2");
        let world = product.world_where(Begins::Running, &[
            Rule::on("info --format *").prints("1610612736 1\n"),
            Rule::on("exec * df -P -k /var").prints("Filesystem 1024-blocks Used Available Capacity Mounted on\noverlay 61202244 60000000 524288 99% /var\n"),
        ]);
        let entry = listed(&product, &world);
        let warnings = entry["warnings"].to_string();
        assert_eq!(entry["state"], "ready", "{entry}");
        assert_eq!(warnings.contains("1.5 GiB of memory"), has_engine, "{entry}");
        assert_eq!(warnings.contains("one processor"), has_engine, "{entry}");
        let has_node = has_engine && product.facts.0 != Some("kubeadm");
        assert_eq!(warnings.contains("has only 0.5 GiB free"), has_node, "{entry}");
        let table = world.run("target list").expect_code(0).stdout;
        assert_eq!(table.contains("warning: the Docker engine has"), has_engine, "{table}");
        let doctor = world.run(&format!("doctor --target {}", product.target));
        let warned = doctor.stderr.lines().any(|line| {
            line.starts_with("State ") && line.contains("WARNING") && line.contains("GiB")
        });
        assert_eq!(warned, has_engine, "{}", doctor.output());
    }
}

#[test]
fn starting_cluster_is_waited_for_without_a_question() {
    for product in all().into_iter().filter(|product| product.detects_starting) {
        let world = product.world(Begins::Starting);
        let mut running = product.deploy(&world, &[]).spawn();
        // kind starts the container that the engine has only created.
        if product.target != "kind" {
            running.wait_for_output("waiting until the cluster answers");
            product.come_up(&world);
        }
        let finished = running.finish().expect_code(0);
        assert!(!finished.stderr.contains("--yes"), "{}", finished.output());
    }
}

#[test]
fn degraded_cluster_is_repaired_with_consent_if_supported() {
    for product in all().into_iter().filter(|product| product.target != "lab") {
        let world = product.world(Begins::Sick);
        let refused = product.deploy(&world, &[]).run().expect_code(5);
        assert!(refused.stderr.contains("help:"), "{}", refused.output());
        assert_eq!(
            refused.stderr.contains("--yes"),
            product.cure.is_some(),
            "{}",
            refused.output()
        );
        world.assert_untouched();
        let Some(cure) = product.cure else { continue };
        assert!(!world.tools.lines().iter().any(|line| line.starts_with(cure)));
        let _ = product.deploy(&world, &["--yes"]).run().expect_code(0);
        assert!(world.tools.lines().iter().any(|line| line.starts_with(cure)));
    }
}

#[test]
fn only_clusters_known_to_a_local_product_are_local() {
    for product in all() {
        let world = product.world(Begins::Running);
        let local = product.target != "lab";
        assert_eq!(listed(&product, &world)["local"], local, "{}", product.target);
    }
}

#[test]
fn paused_cluster_is_reported_with_the_unpause_command() {
    let pausable = |product: &Product| product.target == "minikube" && product.detects_starting;
    for product in all().into_iter().filter(pausable) {
        let world = product.world(Begins::Sick);
        world.tools.set("paused");
        let entry = listed(&product, &world);
        assert_eq!(entry["state"], "degraded");
        assert!(entry.to_string().contains("minikube unpause --profile minikube"), "{entry}");
        let refused = product.deploy(&world, &["--yes"]).run().expect_code(5);
        assert!(refused.stderr.contains("is paused"), "{}", refused.output());
        world.assert_untouched();
    }
}

#[test]
fn stopped_cluster_is_started_only_with_consent() {
    for product in all() {
        let world = product.world(Begins::Stopped);
        let refused = product.deploy(&world, &[]).run();
        assert!(matches!(refused.code(), Some(5 | 6)), "{}", refused.output());
        assert!(refused.stderr.contains("help:"), "{}", refused.output());
        world.assert_untouched();
        if product.target != "lab" {
            assert_eq!(listed(&product, &world)["state"], "stopped", "{}", product.target);
        }
        let starts = product.start.is_some();
        assert_eq!(refused.stderr.contains("--yes"), starts, "{}", refused.output());
        let agreed = product.deploy(&world, &["--yes"]).run();
        assert_eq!(agreed.code() == Some(0), starts, "{}", agreed.output());
    }
}

#[test]
fn missing_cluster_is_created_only_with_consent() {
    for product in all() {
        let world = product.world(Begins::Absent);
        if product.target != "minikube" || product.creation.is_some() {
            let state = listed(&product, &world);
            assert_eq!((&state["state"], &state["local"]), (&"absent".into(), &false.into()));
        }
        let refused = product.deploy(&world, &[]).run();
        assert!(matches!(refused.code(), Some(5 | 6)), "{}", refused.output());
        world.assert_untouched();
        if product.creation.is_some() {
            assert!(refused.stderr.contains("--yes"), "{}", refused.output());
            let _ = product.deploy(&world, &["--yes"]).run().expect_code(0);
        }
    }
}

/// Products that are started or created, with their state before and the tool.
fn beginnings() -> Vec<(Product, Begins, &'static str)> {
    let mut beginnings = Vec::new();
    for product in all() {
        beginnings.extend(product.start.map(|tool| (product.clone(), Begins::Stopped, tool)));
        beginnings.extend(product.creation.map(|tool| (product.clone(), Begins::Absent, tool)));
    }
    beginnings
}

#[test]
fn start_failure_is_reported_with_help() {
    for (product, begins, _) in beginnings() {
        let world = product.world(begins);
        world.tools.set("start-fails");
        let failed = product.deploy(&world, &["--yes"]).run();
        let what = format!("{} {begins:?}: {}", product.target, failed.output());
        assert!(!matches!(failed.code(), Some(0 | 1)), "{what}");
        assert!(failed.stderr.contains("help:"), "{what}");
        world.assert_untouched();
    }
}

#[cfg(unix)]
#[test]
fn start_can_be_interrupted() {
    for (product, begins, tool) in beginnings() {
        let world = product.world(begins);
        world.tools.set("start-holds");
        let running = product.deploy(&world, &["--yes"]).spawn();
        assert_stops(&world, running, tool);
    }
}

#[test]
fn engine_started_by_the_target_is_used_for_builds() {
    let product = all().into_iter().find(|product| product.target == "docker-desktop").unwrap();
    let world = product.world(Begins::Stopped);
    // The engine is queried for the base image before the target is started.
    world.project.replace("web/Dockerfile", "FROM scratch", "FROM base:1");
    let finished = product.deploy(&world, &["--yes"]).run().expect_code(0);
    assert!(finished.stderr.contains("it will start Docker Desktop"), "{}", finished.output());
}

#[cfg(unix)]
#[test]
fn kill_during_start_leaves_no_process_and_the_next_deploy_succeeds() {
    for (product, begins, tool) in beginnings() {
        let world = product.world(begins);
        world.tools.set("start-holds");
        let running = product.deploy(&world, &["--yes"]).spawn();
        assert_leaves_nothing(&world, running, tool);
        world.tools.unset("start-holds");
        let _ = product.deploy(&world, &["--yes"]).run().expect_code(0);
    }
}

#[test]
fn half_created_cluster_is_completed_with_consent() {
    for product in all().into_iter().filter(|product| product.creation.is_some()) {
        let world = product.world(Begins::HalfMade);
        let refused = product.deploy(&world, &[]).run().expect_code(5);
        assert!(refused.stderr.contains("--yes"), "{}", refused.output());
        world.assert_untouched();
        assert_eq!(deletions(&world), Vec::<String>::new());
        let _ = product.deploy(&world, &["--yes"]).run().expect_code(0);
        // kind cannot continue an aborted creation; minikube can.
        let deleted = usize::from(product.target == "kind");
        assert_eq!(deletions(&world).len(), deleted, "{:#?}", world.tools.lines());
    }
}

#[test]
fn help_for_a_stopped_engine_fits_the_operating_system() {
    let ways = [
        ("darwin", "open -a Docker"),
        ("windows", "from the Start menu"),
        ("linux", "sudo systemctl start docker"),
    ];
    for (system, way) in ways {
        let client = format!(
            r#"{{"Client":{{"Version":"28.0.4","Os":"{system}","Arch":"arm64"}},"Server":null}}"#
        );
        for target in ["docker-desktop", "kind", "minikube"] {
            let product = all().into_iter().find(|product| product.target == target).unwrap();
            let world = product.world(Begins::Stopped);
            // An older Docker Desktop without the `docker desktop` command.
            let silent = "Cannot connect to the Docker daemon. Is the docker daemon running?\n";
            world.tools.program("docker", &[Rule::on("**").prints(&client).fails(1, silent)]);
            let refused = product.deploy(&world, &[]).run();
            assert!(matches!(refused.code(), Some(5 | 6)), "{}", refused.output());
            assert!(refused.stderr.contains(way), "{target}, {system}: {}", refused.output());
            assert!(!refused.stderr.contains("--yes"), "{}", refused.output());
        }
    }
}

#[test]
fn missing_product_is_reported_with_install_instructions() {
    for (target, way) in [
        ("docker-desktop", "https://docs.docker.com/desktop"),
        ("kind", "https://kind.sigs.k8s.io"),
        ("minikube", "brew install minikube"),
    ] {
        let product = all().into_iter().find(|product| product.target == target).unwrap();
        let world = product.world(Begins::Absent);
        let programs = if target == "kind" { &["kind"][..] } else { &["docker", "minikube"] };
        for program in programs {
            world.tools.remove(program);
        }
        assert_eq!(listed(&product, &world)["state"], "absent", "{target}");
        let refused = product.deploy(&world, &["--yes"]).run();
        assert!(matches!(refused.code(), Some(5 | 6)), "{}", refused.output());
        assert!(refused.stderr.contains(way), "{target}: {}", refused.output());
    }
}

#[test]
fn disabled_kubernetes_is_reported_with_the_setting_to_enable() {
    let product = all().into_iter().find(|product| product.target == "docker-desktop").unwrap();
    let world = product.world(Begins::Absent);
    let refused = product.deploy(&world, &["--yes"]).run().expect_code(5);
    let clicks = "Docker Desktop, Settings, Kubernetes, switch `Enable Kubernetes` on";
    assert!(refused.stderr.contains(clicks), "{}", refused.output());
    // The settings file reports that Kubernetes is disabled.
    let world = product.world(Begins::Running);
    let file = world.project.home().join(".docker/desktop/settings-store.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, r#"{"KubernetesEnabled":false}"#).unwrap();
    assert_eq!(listed(&product, &world)["state"], "stopped");
}

#[test]
fn hidden_docker_desktop_nodes_are_reported_with_the_setting_to_show_them() {
    let by_kind = |product: &Product| product.facts.0 == Some("kind");
    let product = all().into_iter().find(by_kind).unwrap();
    let world = product.world_where(
        Begins::Running,
        &[Rule::on("exec desktop-control-plane **")
            .fails(1, "Error response from daemon: No such container: desktop-control-plane\n")],
    );
    let refused = product.deploy(&world, &[]).run();
    assert!(!matches!(refused.code(), Some(0 | 1)), "{}", refused.output());
    assert!(refused.stderr.contains("Show system containers"), "{}", refused.output());
    world.assert_untouched();
}

#[test]
fn garbage_collected_images_are_delivered_again() {
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
fn only_missing_layers_are_delivered() {
    let brought = |target: &str| {
        let product = all().into_iter().find(|product| product.target == target).unwrap();
        let world = product.world(Begins::Running);
        let _ = product.deploy(&world, &[]).run().expect_code(0);
        let invocations = world.tools.invocations();
        let import = invocations.iter().find(|ran| ran.args.iter().any(|arg| arg == "import"));
        import.unwrap().input
    };
    // The kind node reports the base layer, the minikube node reports no content.
    assert!(brought("minikube") > BASE_BYTES);
    let less = brought("kind");
    assert!(less > 0 && less < 10_000, "{less} bytes");
}

#[test]
fn failed_delivery_ends_the_deploy_before_any_apply() {
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
fn delivery_can_be_interrupted() {
    for product in all() {
        let Some(delivery) = product.delivery else { continue };
        let world = product.world(Begins::Running);
        world.tools.set("delivery-holds");
        let running = product.deploy(&world, &[]).spawn();
        assert_stops(&world, running, delivery);
    }
}

#[cfg(unix)]
#[test]
fn kill_during_delivery_leaves_no_process_and_the_next_deploy_succeeds() {
    for product in all() {
        let Some(delivery) = product.delivery else { continue };
        let world = product.world(Begins::Running);
        world.tools.set("delivery-holds");
        let running = product.deploy(&world, &[]).spawn();
        assert_leaves_nothing(&world, running, delivery);
        world.tools.unset("delivery-holds");
        let _ = product.deploy(&world, &[]).run().expect_code(0);
    }
}

#[test]
fn node_port_service_has_an_address() {
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

/// The commands so far that delete a cluster.
fn deletions(world: &World) -> Vec<String> {
    world.tools.lines().into_iter().filter(|line| line.contains(" delete ")).collect()
}

#[test]
fn cluster_is_deleted_only_with_consent_and_only_by_targets_that_create_clusters() {
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
fn deletion_of_a_missing_cluster_is_refused() {
    for product in all() {
        let world = product.world(Begins::Absent);
        // Only minikube can report a virtual machine's profile, and this world has no minikube profile.
        if product.target == "minikube" && product.creation.is_none() {
            continue;
        }
        let refused = world.run(&format!("target delete {} --yes", product.target)).expect_code(5);
        assert!(refused.stderr.contains("todohost::target::absent"), "{}", refused.output());
        assert_eq!(deletions(&world), Vec::<String>::new());
    }
}

#[test]
fn deletion_of_a_remote_cluster_is_refused() {
    for product in all().into_iter().filter(|product| product.target != "lab") {
        let world = product.world(Begins::Running);
        product.lead_elsewhere(&world);
        let refused = world.run(&format!("target delete {} --yes", product.target)).expect_code(2);
        assert!(refused.stderr.contains("todohost::target::not_local"), "{}", refused.output());
        assert_eq!(deletions(&world), Vec::<String>::new());
    }
}

#[test]
fn deletion_failure_is_reported() {
    for product in all().into_iter().filter(|product| product.deletion.is_some()) {
        let world = product.world(Begins::Running);
        world.tools.set("delete-fails");
        let failed = world.run(&format!("target delete {} --yes", product.target));
        assert!(!matches!(failed.code(), Some(0 | 1)), "{}", failed.output());
        assert!(failed.stderr.contains("delete"), "{}", failed.output());
    }
}

//! The contract: detected in every state, started only with consent, given images once and again after a collection,
//! reached, stopped and killed half-way, taken away, and plain about what it cannot do. A port that something else has
//! taken is `reach`'s.

use todohost_testkit::Rule;

use super::product::{BASE_BYTES, Begins, Product, all};
use crate::world::World;

#[cfg(unix)]
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// A deploy that is killed while a tool is at work leaves no tool running, and nothing of the app.
#[cfg(unix)]
fn assert_leaves_nothing(world: &World, running: todohost_testkit::Running, tool: &str) {
    let began = world.tools.wait_for(tool, PATIENCE);
    // The tool may be quicker than the host, which has to note first what it began; nothing shows that from outside.
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
fn each_is_detected_in_every_state() {
    for product in all().into_iter().filter(|product| product.target != "lab") {
        let mut states = vec![
            (Begins::Running, "ready"),
            (Begins::Stopped, "stopped"),
            (Begins::Sick, "degraded"),
        ];
        if product.tells_starting {
            states.push((Begins::Starting, "starting"));
        }
        for (begins, state) in states {
            let world = product.world(begins);
            let entry = listed(&product, &world);
            let what = format!("{} {begins:?}: {entry}", product.target);
            assert_eq!(entry["state"], state, "{what}");
            assert_eq!(entry["local"], true, "{what}");
            // What starts by itself is not offered, and what is sick only where something can be done.
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
fn what_is_known_of_a_cluster_is_told_in_list_and_doctor() {
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
fn an_engine_that_is_too_small_for_kubernetes_is_warned_of() {
    for product in all().into_iter().filter(|product| product.facts.1.is_some()) {
        // The engine is nothing to a machine of minikube's own.
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
        assert_eq!(warnings.contains("0.5 GiB are free on the disk"), has_node, "{entry}");
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
fn what_starts_by_itself_is_waited_for_and_nobody_is_asked() {
    for product in all().into_iter().filter(|product| product.tells_starting) {
        let world = product.world(Begins::Starting);
        let mut running = product.deploy(&world, &[]).spawn();
        // kind's tool starts what the engine has only made.
        if product.target != "kind" {
            running.wait_for_output("waiting until the cluster answers");
            product.come_up(&world);
        }
        let finished = running.finish().expect_code(0);
        assert!(!finished.stderr.contains("--yes"), "{}", finished.output());
    }
}

#[test]
fn what_is_sick_is_mended_with_consent_where_that_can_be_done() {
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
fn only_clusters_of_this_machine_that_their_product_knows_are_local() {
    for product in all() {
        let world = product.world(Begins::Running);
        let local = product.target != "lab";
        assert_eq!(listed(&product, &world)["local"], local, "{}", product.target);
    }
}

#[test]
fn a_paused_one_is_to_be_resumed_and_not_started() {
    let pausable = |product: &Product| product.target == "minikube" && product.tells_starting;
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
        let starts = product.start.is_some();
        assert_eq!(refused.stderr.contains("--yes"), starts, "{}", refused.output());
        let agreed = product.deploy(&world, &["--yes"]).run();
        assert_eq!(agreed.code() == Some(0), starts, "{}", agreed.output());
    }
}

#[test]
fn what_is_not_there_is_created_only_with_consent() {
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

/// Products that something is begun for, how they are before, and the tool that begins it.
fn beginnings() -> Vec<(Product, Begins, &'static str)> {
    let mut beginnings = Vec::new();
    for product in all() {
        beginnings.extend(product.start.map(|tool| (product.clone(), Begins::Stopped, tool)));
        beginnings.extend(product.creation.map(|tool| (product.clone(), Begins::Absent, tool)));
    }
    beginnings
}

#[test]
fn a_start_that_fails_says_why_and_what_to_do() {
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
fn a_start_can_be_stopped() {
    for (product, begins, tool) in beginnings() {
        let world = product.world(begins);
        world.tools.set("start-holds");
        let running = product.deploy(&world, &["--yes"]).spawn();
        assert_stops(&world, running, tool);
    }
}

#[test]
fn an_engine_that_the_target_starts_is_there_for_the_builds() {
    let product = all().into_iter().find(|product| product.target == "docker-desktop").unwrap();
    let world = product.world(Begins::Stopped);
    // What the image stands on is asked of the engine before the target is started.
    world.project.replace("web/Dockerfile", "FROM scratch", "FROM base:1");
    let finished = product.deploy(&world, &["--yes"]).run().expect_code(0);
    assert!(finished.stderr.contains("it will start Docker Desktop"), "{}", finished.output());
}

#[cfg(unix)]
#[test]
fn a_start_that_is_killed_leaves_nothing_running_and_the_next_run_ends_well() {
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
fn a_cluster_that_is_only_half_made_is_made_whole_with_consent() {
    for product in all().into_iter().filter(|product| product.creation.is_some()) {
        let world = product.world(Begins::HalfMade);
        let refused = product.deploy(&world, &[]).run().expect_code(5);
        assert!(refused.stderr.contains("--yes"), "{}", refused.output());
        world.assert_untouched();
        assert_eq!(deletions(&world), Vec::<String>::new());
        let _ = product.deploy(&world, &["--yes"]).run().expect_code(0);
        // kind cannot go on where it ended; minikube can.
        let deleted = usize::from(product.target == "kind");
        assert_eq!(deletions(&world).len(), deleted, "{:#?}", world.tools.lines());
    }
}

#[test]
fn who_cannot_be_started_from_here_is_started_as_each_system_does() {
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
            // An older Docker Desktop, which has no command of its own.
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
fn what_is_not_installed_says_how_to_install_it() {
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
fn a_cluster_that_only_the_user_can_make_says_where_to_click() {
    let product = all().into_iter().find(|product| product.target == "docker-desktop").unwrap();
    let world = product.world(Begins::Absent);
    let refused = product.deploy(&world, &["--yes"]).run().expect_code(5);
    let clicks = "Docker Desktop, Settings, Kubernetes, `Enable Kubernetes`, Apply";
    assert!(refused.stderr.contains(clicks), "{}", refused.output());
    // The same where its settings say that it was switched off.
    let world = product.world(Begins::Running);
    let file = world.project.home().join(".docker/desktop/settings-store.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, r#"{"KubernetesEnabled":false}"#).unwrap();
    assert_eq!(listed(&product, &world)["state"], "stopped");
}

#[test]
fn nodes_that_docker_desktop_hides_are_told_with_the_way_to_show_them() {
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

#[cfg(unix)]
#[test]
fn bringing_images_that_is_killed_leaves_nothing_running_and_the_next_run_ends_well() {
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
        if product.target == "minikube" && product.creation.is_none() {
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

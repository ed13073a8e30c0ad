//! `doctor` tests the database from a pod: the pod it creates, the rows it prints, and the cleanup.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use todohost_testkit::cluster::{Effect, FromPods};
use todohost_testkit::{Fault, Finished, Host, Refusal};

use super::doctor::{doctor, refusal, rows, server, tables, welcome};
use super::world::{CANARY, World};

const PATIENCE: Duration = Duration::from_mins(1);
const PODS: &str = "As pods see it";
/// A host that only pods can resolve.
const INSIDE: &str = "database.shop.svc:5432";

/// A world with an image on its node, like every node that runs the app.
fn world() -> World {
    let world = World::new();
    world.cluster.images(&["docker.io/library/shop-web:1"]);
    world
}

/// `doctor` with a database at this host and port.
fn doctor_of(world: &World, place: &str) -> Host {
    let url = format!("postgresql://shop:{CANARY}@{place}/shop?sslmode=disable");
    doctor(world).args(["--set", &format!("secrets.databaseUrl={url}")])
}

/// A host and port on this machine that are not recognised as loopback, so that a pod is used.
fn here(port: u16) -> String {
    format!("127.1:{port}")
}

/// Names of all pods, in any namespace.
fn pods(world: &World) -> Vec<String> {
    let pods = world.cluster.list("pods", "");
    pods.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// The pods that the host created, as sent.
fn made(world: &World) -> Vec<Value> {
    let writes = world.cluster.writes().into_iter();
    let made = writes.filter(|it| it.method == "POST" && it.path.ends_with("/pods"));
    made.map(|it| serde_json::from_slice(&it.body).unwrap()).collect()
}

/// Asserts that no secret was printed and that no pod is left.
fn assert_clean(world: &World, finished: &Finished) {
    world.assert_no_leak(finished);
    assert_eq!(pods(world), Vec::<String>::new());
}

#[test]
fn database_reachable_from_here_and_from_pods_passes() {
    let world = world();
    let place = here(server(welcome()));
    world.cluster.from_pods(&place, FromPods::Server(server(welcome())));
    let finished = doctor_of(&world, &place).run().expect_code(0);
    assert!(rows(&tables(&finished), "PASS").contains(&PODS), "{}", finished.output());
    assert_clean(&world, &finished);
    let made = made(&world);
    assert_eq!(made.len(), 1);
    // The namespace of the app does not exist yet.
    assert_eq!(made[0]["metadata"]["namespace"], "default");
    assert_eq!(made[0]["spec"]["nodeName"], "docker-desktop");
    assert!(!made[0].to_string().contains("127.1"), "{}", made[0]);
    world.assert_untouched();
}

#[test]
fn database_reachable_only_from_here_fails_with_the_reason() {
    for (failure, reason, help) in [
        ("refused", "nothing listens at 127.1:", "listen_addresses"),
        ("unknown-host", "the name 127.1 has no address", "DNS"),
        ("failed No route to host", "cannot reach 127.1:", "NetworkPolicy"),
    ] {
        let world = world();
        let place = here(server(welcome()));
        world.cluster.from_pods(&place, FromPods::Fails(failure.to_owned()));
        let finished = doctor_of(&world, &place).run().expect_code(3);
        assert_eq!(rows(&tables(&finished), "FAIL"), [PODS], "{}", finished.output());
        for part in ["reachable from here but not from the cluster: ", reason, help] {
            assert!(finished.stderr.contains(part), "no {part}:\n{}", finished.output());
        }
        assert_clean(&world, &finished);
    }
}

#[test]
fn database_reachable_only_from_pods_is_judged_from_a_pod() {
    let world = world();
    world.cluster.from_pods(INSIDE, FromPods::Server(server(welcome())));
    let finished = doctor_of(&world, INSIDE).run().expect_code(0);
    let shown = tables(&finished);
    for title in ["Server answers", "User and password", "Database", PODS] {
        assert!(rows(&shown, "PASS").contains(&title), "no {title}:\n{}", finished.output());
    }
    assert_clean(&world, &finished);

    let wrong = server(refusal("28P01", &format!("no, not {CANARY}")));
    world.cluster.from_pods(INSIDE, FromPods::Server(wrong));
    let finished = doctor_of(&world, INSIDE).run().expect_code(3);
    let shown = tables(&finished);
    assert_eq!(rows(&shown, "FAIL"), ["User and password"], "{}", finished.output());
    assert_clean(&world, &finished);
}

#[test]
fn image_without_a_usable_program_is_skipped() {
    let world = World::new();
    world.cluster.images(&["scratch:1", "shop-web:1"]);
    world.cluster.from_pods(INSIDE, FromPods::Server(server(welcome())));
    // Images that the project builds come first.
    world.project.replace("todohost.toml", "[images.shop-web]", "[images.scratch]");
    let finished = doctor_of(&world, INSIDE).run();
    assert!(rows(&finished.stderr, "PASS").contains(&PODS), "{}", finished.output());
    assert_clean(&world, &finished);
    let containers = &made(&world)[0]["spec"]["containers"];
    let images = [&containers[0]["image"], &containers[1]["image"]];
    assert_eq!(images, [&json!("scratch:1"), &json!("shop-web:1")]);
}

#[test]
fn missing_permission_or_image_for_the_pod_is_reported() {
    let no_image = "no image on node docker-desktop has a program";
    let cases: [(&[&str], &str, &str); 4] = [
        (&[], "", no_image),
        (&["scratch:1"], "", no_image),
        (&["shop-web:1"], "/api/v1/namespaces/default/pods", "not allowed to"),
        (&["shop-web:1"], "/exec", "not allowed to run a program in Pod/todohost-relay-"),
    ];
    for (images, path, reason) in cases {
        let world = World::new();
        world.cluster.images(images);
        if !path.is_empty() {
            let forbidden =
                Refusal::new(403, "Forbidden", "pods is forbidden: User \"ada\" cannot do that");
            let effect = Effect::Refuse(forbidden);
            // The created pod can be deleted.
            for method in ["GET", "POST"] {
                let (method, path, effect) = (method.into(), path.into(), effect.clone());
                world.cluster.fault(Fault { method, path, times: None, effect });
            }
        }
        let finished = doctor_of(&world, &here(server(welcome()))).run().expect_code(0);
        let shown = tables(&finished);
        assert!(rows(&shown, "NOT JUDGED").contains(&PODS), "{}", finished.output());
        let expected = format!("not checked from a pod: {reason}");
        assert!(finished.stderr.contains(&expected), "no {expected}:\n{}", finished.output());
        assert_clean(&world, &finished);
    }
}

#[cfg(unix)]
#[test]
fn interrupt_deletes_the_pod() {
    let world = world();
    world.cluster.from_pods(INSIDE, FromPods::Silence);
    let running = doctor_of(&world, INSIDE).spawn();
    world.cluster.wait_for_request(PATIENCE, |seen| seen.path.ends_with("/exec"));
    running.interrupt();
    let finished = running.finish();
    assert_eq!(finished.code(), Some(130), "{}", finished.output());
    assert_eq!(made(&world).len(), 1);
    assert_clean(&world, &finished);
}

#[test]
fn pod_of_a_killed_run_is_deleted_and_nothing_else() {
    let world = world();
    let ours = json!({ "todohost.dev/relay": "true" });
    for (name, command, labels) in [
        ("left", "true", &ours),
        ("another-runs", "sleep", &ours),
        ("somebody-elses", "true", &json!({})),
    ] {
        let containers = json!([{ "name": "a", "image": "b", "command": [command] }]);
        world.cluster.write_as(
            "kubectl",
            &json!({ "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": name, "namespace": "default", "labels": labels },
                "spec": { "containers": containers } }),
        );
    }
    let deadline = Instant::now() + PATIENCE;
    let phase =
        |name: &str| world.cluster.get("pods", "default", name).unwrap()["status"]["phase"].clone();
    while phase("left") != "Succeeded" || phase("another-runs") != "Running" {
        assert!(Instant::now() < deadline, "the pods do not run");
        std::thread::sleep(Duration::from_millis(5));
    }
    world.cluster.from_pods(INSIDE, FromPods::Server(server(welcome())));
    let _ = doctor_of(&world, INSIDE).run().expect_code(0);
    assert_eq!(pods(&world), ["another-runs", "somebody-elses"]);
}

#[test]
fn deploy_creates_no_pod_for_the_database_check() {
    let world = world();
    world.project.append("todohost.toml", "\n[checks.database]\nplugin = \"database\"\n");
    let place = here(server(welcome()));
    let url = format!("postgresql://shop:{CANARY}@{place}/shop?sslmode=disable");
    let deploy = world.host().args(["deploy", "--target", "docker-desktop"]);
    let deploy = deploy.args(["--set", &format!("secrets.databaseUrl={url}")]);
    let finished = deploy.run().expect_code(0);
    assert!(finished.stderr.contains("4 passed, 1 not judged"), "{}", finished.output());
    assert_eq!(made(&world), Vec::<Value>::new());
}

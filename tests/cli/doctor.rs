//! The tables of `doctor` for target, cluster and database, with and without problems.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use serde_json::json;
use todohost_testkit::cluster::kubeconfig;
use todohost_testkit::{Finished, Host};

use super::world::{CANARY, World, assert_refusal};

/// The tables, without the lines of steps above them, which vary in order.
pub fn tables(finished: &Finished) -> String {
    let first = "The target ";
    let lines = finished.stderr.lines().skip_while(|line| !line.starts_with(first));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The rows with this status, by their titles.
pub fn rows<'a>(output: &'a str, status: &str) -> Vec<&'a str> {
    let titled = output.lines().filter_map(|line| line.split_once(&format!("  {status}  ")));
    titled.map(|(title, _)| title.trim_end()).collect()
}

pub fn doctor(world: &World) -> Host {
    world.host().args(["doctor", "--target", "docker-desktop"])
}

/// `doctor` with a database at a port of this machine.
fn doctor_of(world: &World, port: u16, parameters: &str) -> Host {
    let url = format!("postgresql://shop:{CANARY}@127.0.0.1:{port}/shop?{parameters}");
    doctor(world).args(["--set", &format!("secrets.databaseUrl={url}")])
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag], length.as_slice(), body].concat()
}

/// Starts a server that answers the first bytes with `answer` and closes the connection; returns its port.
pub fn server(answer: Vec<u8>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut line, _) = listener.accept().unwrap();
        let mut begun = [0; 1];
        line.read_exact(&mut begun).unwrap();
        line.write_all(&answer).unwrap();
        line.shutdown(Shutdown::Write).unwrap();
        // Read the client's remaining bytes first: closing with unread data would reset the connection and lose the
        // answer.
        line.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let _ = std::io::copy(&mut line, &mut std::io::sink());
    });
    port
}

/// Accepts every user.
pub fn welcome() -> Vec<u8> {
    let version = message(b'S', b"server_version\x0017.2\0");
    [message(b'R', &[0; 4]), version, message(b'Z', b"I")].concat()
}

pub fn refusal(state: &str, text: &str) -> Vec<u8> {
    message(b'E', format!("SFATAL\0C{state}\0M{text}\0\0").as_bytes())
}

#[test]
fn healthy_world_passes_every_row() {
    let world = World::new();
    let finished = doctor(&world).run().expect_code(0);
    world.settings().bind(|| insta::assert_snapshot!(tables(&finished)));
    world.assert_untouched();
    assert_eq!(world.cluster.writes(), []);
}

#[test]
fn database_on_loopback_is_reported_as_unreachable_for_pods() {
    let world = World::new();
    let finished = doctor_of(&world, server(welcome()), "sslmode=disable").run().expect_code(3);
    world.assert_no_leak(&finished);
    let expected =
        "reachable from here but not from the cluster: in a pod, 127.0.0.1 is the pod itself";
    assert!(finished.stderr.contains(expected), "{}", finished.output());
    let tables = tables(&finished);
    assert_eq!(rows(&tables, "FAIL"), ["As pods see it"], "{}", finished.output());
    assert_eq!(world.cluster.writes(), [], "no pod need be asked for that");
    for title in ["Server answers", "Encryption", "User and password", "Database"] {
        assert!(rows(&tables, "PASS").contains(&title), "no {title}:\n{}", finished.output());
    }
    assert!(finished.stderr.contains("PostgreSQL 17.2"), "{}", finished.output());
}

#[test]
fn each_database_problem_fails_its_own_row() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let wrong_password = refusal("28P01", &format!("no, not {CANARY}"));
    let no_database = [message(b'R', &[0; 4]), refusal("3D000", "no such database")].concat();
    let cases: [(u16, &str, &str, &str); 5] = [
        (free, "", "Server answers", "nothing listens at"),
        (server(b"N".to_vec()), "sslmode=require", "Encryption", "offers no TLS"),
        (server(b"S".to_vec()), "sslmode=verify-full", "Encryption", "the TLS handshake failed"),
        (server(wrong_password), "sslmode=disable", "User and password", "is wrong"),
        (server(no_database), "sslmode=disable", "Database", "the database shop does not exist"),
    ];
    let world = World::new();
    for (port, parameters, row, reason) in cases {
        let finished = doctor_of(&world, port, parameters).run().expect_code(3);
        world.assert_no_leak(&finished);
        assert_eq!(rows(&tables(&finished), "FAIL"), [row], "{}", finished.output());
        assert!(finished.stderr.contains(reason), "no {reason}:\n{}", finished.output());
    }
}

#[test]
fn unresolvable_database_host_is_reported() {
    let world = World::new();
    let url = format!("secrets.databaseUrl=postgresql://shop:{CANARY}@database.invalid/shop");
    let finished = doctor(&world).args(["--set", &url]).run().expect_code(3);
    world.assert_no_leak(&finished);
    let expected = "the name database.invalid has no address";
    assert!(finished.stderr.contains(expected), "{}", finished.output());
}

#[test]
fn database_url_can_be_in_another_secret() {
    let world = World::new();
    let table =
        "\n[checks.storage]\nplugin = \"database\"\noptions = { secret = \"secrets.apiKey\" }\n";
    world.project.append("todohost.toml", table);
    let url = format!("postgresql://x:{CANARY}@127.0.0.1:{}/x?sslmode=disable", server(welcome()));
    let finished = doctor(&world).args(["--set", &format!("secrets.apiKey={url}")]).run();
    let finished = finished.expect_code(3);
    world.assert_no_leak(&finished);
    assert!(finished.stderr.contains("(storage/connection)"), "{}", finished.output());
    assert!(!finished.stderr.contains("(database/"), "{}", finished.output());
}

#[test]
fn every_cluster_row_can_fail() {
    let world = World::new();
    world.project.replace(
        "chart/templates/service.yaml",
        "      targetPort: http\n",
        "      targetPort: http\n      nodePort: 30080\n",
    );
    world.project.replace("chart/values.yaml", "type: ClusterIP", "type: NodePort");
    world.project.replace("chart/templates/deployment.yaml", "memory: 32Mi", "memory: 32Gi");
    world.project.replace("chart/templates/deployment.yaml", "memory: 64Mi", "memory: 64Gi");
    let platform = "context = \"web\"\nplatform = \"linux/arm64\"\n";
    world.project.replace("todohost.toml", "context = \"web\"\n", platform);
    world.cluster.forbid("delete", "services");
    world.cluster.write_as(
        "kubectl",
        &json!({ "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "other", "namespace": "default" },
            "spec": { "type": "NodePort", "ports": [{ "port": 80, "nodePort": 30080 }] } }),
    );
    world.cluster.write_as(
        "kubectl",
        &json!({ "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": "shop", "deletionTimestamp": "2026-02-08T10:00:00Z" } }),
    );
    let finished = doctor(&world).run().expect_code(3);
    world.settings().bind(|| insta::assert_snapshot!(tables(&finished)));
    assert_eq!(world.cluster.writes(), []);
}

#[test]
fn stopped_target_is_reported_with_its_start_command_and_other_rows_are_judged() {
    let world = World::new();
    std::fs::remove_file(world.project.kubeconfig()).unwrap();
    world.tools.set("engine-stopped");
    let finished = doctor_of(&world, server(welcome()), "sslmode=disable").run();
    assert_refusal!(world, finished);
    let tables = tables(&finished);
    let failed = ["State", "Kubernetes answers", "As pods see it"];
    assert_eq!(rows(&tables, "FAIL"), failed, "{}", finished.output());
    assert!(rows(&tables, "PASS").contains(&"Database"), "{}", finished.output());
    for title in ["Namespace", "Permissions", "Node ports", "Room on the nodes"] {
        assert!(rows(&tables, "NOT JUDGED").contains(&title), "{title}: {}", finished.output());
    }
}

#[test]
fn database_is_judged_without_a_selected_cluster() {
    let world = World::new();
    let text = kubeconfig("docker-desktop", "https://cluster.example:6443");
    std::fs::write(world.project.kubeconfig(), text).unwrap();
    let url = format!("postgresql://x:{CANARY}@127.0.0.1:{}/x?sslmode=disable", server(welcome()));
    let finished = world.host().args(["doctor", "--set", &format!("secrets.databaseUrl={url}")]);
    let finished = finished.run().expect_code(2);
    world.assert_no_leak(&finished);
    assert!(rows(&finished.stderr, "PASS").contains(&"Database"), "{}", finished.output());
    assert!(finished.stderr.contains("name one with --target"), "{}", finished.output());
}

#[test]
fn preflight_check_in_a_deploy_lists_each_kind_once() {
    let world = World::new();
    world.project.append("todohost.toml", "\n[checks.preflight]\nplugin = \"preflight\"\n");
    world.project.replace(
        "chart/templates/service.yaml",
        "      targetPort: http\n",
        "      targetPort: http\n      nodePort: 30080\n",
    );
    world.project.replace("chart/values.yaml", "type: ClusterIP", "type: NodePort");
    let _ = world.deploy().run().expect_code(0);
    let before = world.cluster.requests().len();
    let finished = world.deploy().run().expect_code(0);
    assert!(finished.stderr.contains("nothing changed"), "{}", finished.output());
    let requests = world.cluster.requests().split_off(before);
    let asked = |path: &str| requests.iter().filter(|request| request.path == path).count();
    for list in ["/api/v1/services", "/api/v1/pods", "/api/v1/nodes"] {
        assert_eq!(asked(list), 1, "{list}");
    }
    // Namespace twice, Secret, Lease, Deployment, Service, and four kinds that belong to them.
    assert_eq!(asked("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"), 10);

    world.cluster.forbid("create", "services");
    world.cluster.forbid("list", "events");
    let finished = world.deploy().args(["--set", "greeting=bye"]).run().expect_code(3);
    let expected = "you are not allowed to create v1 Service in shop";
    assert!(finished.stderr.contains(expected), "{}", finished.output());
    assert_eq!(world.revisions(), ["1 deployed"]);
}

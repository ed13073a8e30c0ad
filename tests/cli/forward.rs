//! Port forwarding that continues while pods are replaced.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::json;
use todohost_testkit::{Host, Running};

use super::world::{World, assert_refusal};

const PATIENCE: Duration = Duration::from_secs(30);

/// A world with a deployed app that answers with the name of its pod.
fn deployed() -> World {
    let world = World::new();
    world.cluster.answer("shop-web", "/", 200, "{pod}");
    let _ = world.deploy().run().expect_code(0);
    world
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn forward(world: &World, args: &[&str]) -> Host {
    world.host().args(["forward", "--target", "docker-desktop"]).args(args)
}

/// Starts a forward to a port and waits until it is open.
fn open(world: &World, port: u16) -> Running {
    let mut running = forward(world, &["--port", &port.to_string()]).spawn();
    running.wait_for_output(&format!("http://127.0.0.1:{port} leads to Service/shop-web"));
    running
}

/// The body of the page at `/`.
fn get(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.rsplit("\r\n").next().unwrap().to_owned()
}

fn pods(world: &World) -> Vec<String> {
    let pods = world.cluster.list("pods", "shop");
    pods.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[cfg(unix)]
#[test]
fn port_stays_open_while_pods_are_replaced() {
    let world = deployed();
    let port = free_port();
    let mut running = open(&world, port);
    let before = pods(&world);
    assert_eq!([get(port)], before.as_slice());
    assert_eq!([get(port)], before.as_slice());
    let _ = world.deploy().args(["--set", "greeting=again"]).run().expect_code(0);
    let after = pods(&world);
    assert_ne!(before, after);
    assert_eq!([get(port)], after.as_slice());
    running.wait_for_output(&format!("connections go to Pod/{} from now on", after[0]));
    running.interrupt();
    let finished = running.finish().expect_code(0);
    world.assert_no_leak(&finished);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[cfg(unix)]
#[test]
fn connection_waits_for_a_ready_pod() {
    let world = deployed();
    let port = free_port();
    let running = open(&world, port);
    for pod in pods(&world) {
        world.cluster.delete("pods", "shop", &pod);
    }
    // Forwarding to a deleted pod fails, and the host waits for another pod.
    let page = std::thread::spawn(move || get(port));
    world.cluster.write_as(
        "kubectl",
        &json!({ "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "shop-web", "namespace": "shop" },
            "spec": { "template": { "metadata": { "annotations": { "restarted": "now" } } } } }),
    );
    let answered = page.join().unwrap();
    assert!(pods(&world).contains(&answered), "{answered}");
    running.interrupt();
    let _ = running.finish().expect_code(0);
}

#[cfg(unix)]
#[test]
fn json_output_has_the_address_in_one_document() {
    let world = deployed();
    let mut running = forward(&world, &["shop-web", "--output", "json"]).spawn();
    running.wait_for_output("127.0.0.1");
    running.interrupt();
    let finished = running.finish().expect_code(0);
    let document: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document["service"], "shop-web");
    assert_eq!(document["target"], "docker-desktop");
}

#[test]
fn unknown_service_is_reported() {
    let world = deployed();
    let finished = forward(&world, &["shop"]).run().expect_code(2);
    assert_refusal!(world, finished);
}

#[test]
fn ambiguous_service_is_refused() {
    let world = World::new();
    let service = world.project.read("chart/templates/service.yaml");
    world.project.write(
        "chart/templates/admin.yaml",
        &service.replace("name: {{ .Release.Name }}-web\n  labels", "name: admin\n  labels"),
    );
    let _ = world.deploy().run().expect_code(0);
    let finished = forward(&world, &[]).run().expect_code(2);
    assert_refusal!(world, finished);
}

#[test]
fn taken_port_is_reported() {
    let world = deployed();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let finished = forward(&world, &["--port", &port]).run().expect_code(2);
    assert!(finished.stderr.contains("todohost::forward::port"), "{}", finished.output());
    assert!(finished.stderr.contains(&port), "{}", finished.output());
    assert!(finished.stderr.contains("help: "), "{}", finished.output());
}

#[test]
fn forward_without_a_deployed_app_is_refused() {
    let world = World::new();
    let finished = forward(&world, &[]).run();
    assert!(finished.stderr.contains("todohost::release::absent"), "{}", finished.output());
}

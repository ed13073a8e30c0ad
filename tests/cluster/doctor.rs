//! `doctor` on a real cluster and a real database, with and without problems.

use std::io::copy;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use todohost_testkit::{Finished, Host, leak};
use todohost_tests::real::Real;

const CANARY: &str = "canary-2b7e1f40";
const PODS: &str = "As pods see it";

fn doctor(real: &Real, url: &str) -> Host {
    real.host()
        .args(["doctor", "--target", real.target()])
        .args(["--secret", "secrets.databaseUrl=env:DATABASE_URL"])
        .variable("DATABASE_URL", url)
}

/// Titles of the rows with this status.
fn rows<'a>(finished: &'a Finished, status: &str) -> Vec<&'a str> {
    let lines = finished.stderr.lines();
    let titled = lines.filter_map(|line| line.split_once(&format!("  {status}  ")));
    titled.map(|(title, _)| title.trim_end()).collect()
}

/// The database URL of the tests, its password, and variants with one part replaced.
struct Url(String);

impl Url {
    fn given() -> Self {
        Self(todohost_tests::variable("DATABASE_URL").unwrap())
    }

    fn password(&self) -> &str {
        let (_, rest) = self.0.split_once("://").unwrap();
        let (who, _) = rest.rsplit_once('@').unwrap();
        who.split_once(':').unwrap().1
    }

    fn database(&self) -> &str {
        let (before, _) = self.0.split_once('?').unwrap();
        before.rsplit_once('/').unwrap().1
    }

    /// Host and port.
    fn place(&self) -> (&str, &str) {
        let (_, place) = self.0.rsplit_once('@').unwrap();
        let (place, _) = place.split_once('/').unwrap();
        place.rsplit_once(':').unwrap_or((place, "5432"))
    }

    /// The same database at another host and port.
    fn at(&self, place: &str) -> String {
        let (host, port) = self.place();
        let from = if self.0.contains(&format!("{host}:{port}/")) {
            format!("{host}:{port}/")
        } else {
            format!("{host}/")
        };
        self.with(&from, &format!("{place}/"))
    }

    fn with(&self, from: &str, to: &str) -> String {
        assert!(self.0.contains(from), "the URL has no {from}");
        self.0.replacen(from, to, 1)
    }
}

#[test]
fn healthy_cluster_and_database_pass() {
    let real = Real::shop("doctor");
    let url = Url::given();
    let finished = doctor(&real, &url.0).run().expect_code(0);
    assert_eq!(rows(&finished, "FAIL"), Vec::<&str>::new(), "{}", finished.output());
    let passed = rows(&finished, "PASS");
    for row in [
        "State",
        "Kubernetes answers",
        "Namespace",
        "Permissions",
        "Node ports",
        "Room on the nodes",
        "Server answers",
        "Encryption",
        "User and password",
        "Database",
        PODS,
    ] {
        assert!(passed.contains(&row), "no {row}:\n{}", finished.output());
    }
    assert_eq!(leak::find(finished.output().as_bytes(), url.password()), None);
    assert!(real.object("namespace", real.namespace()).is_null());
}

#[test]
fn each_database_problem_fails_its_own_row() {
    let real = Real::shop("doctor-database");
    let url = Url::given();
    let database = format!("/{}?", url.database());
    let secure = "sslmode=require";
    for (changed, row, reason) in [
        (url.with(url.password(), CANARY), "User and password", "is wrong"),
        (url.with(&database, "/no_such?"), "Database", "the database no_such does not exist"),
        (url.with(secure, "sslmode=disable"), "Encryption", "the server requires TLS"),
        (url.with(secure, "sslmode=verify-full"), "Encryption", "the TLS handshake failed"),
    ] {
        let finished = doctor(&real, &changed).run().expect_code(3);
        assert_eq!(rows(&finished, "FAIL"), [row], "{}", finished.output());
        assert!(finished.stderr.contains(reason), "no {reason}:\n{}", finished.output());
        for secret in [url.password(), CANARY] {
            assert_eq!(leak::find(finished.output().as_bytes(), secret), None);
        }
    }
    // A client that only prefers TLS uses it if the server offers it.
    let finished = doctor(&real, &url.with(secure, "sslmode=prefer")).run().expect_code(0);
    assert!(rows(&finished, "PASS").contains(&"Database"), "{}", finished.output());
}

#[test]
fn each_cluster_problem_fails_its_own_row() {
    let real = Real::shop("doctor-cluster");
    let _ = real.kubectl(&format!("create namespace {}", real.namespace()));
    let _ = real.kubectl("create service nodeport other --tcp=80 --node-port=30923");
    real.project.replace(
        "chart/templates/service.yaml",
        "      targetPort: http\n",
        "      targetPort: http\n      nodePort: 30923\n",
    );
    real.project.replace("chart/values.yaml", "type: ClusterIP", "type: NodePort");
    real.project.replace("chart/templates/deployment.yaml", "memory: 32Mi", "memory: 32Ti");
    real.project.replace("chart/templates/deployment.yaml", "memory: 64Mi", "memory: 64Ti");
    let platform = "context = \"web\"\nplatform = \"linux/s390x\"\n";
    real.project.replace("todohost.toml", "context = \"web\"\n", platform);
    let finished = doctor(&real, &Url::given().0).run().expect_code(3);
    assert_eq!(
        rows(&finished, "FAIL"),
        ["Node ports", "Room on the nodes", "Architectures of images"],
        "{}",
        finished.output()
    );
    let expected =
        format!("node port 30923 is already used by Service/other in {}", real.namespace());
    assert!(finished.stderr.contains(&expected), "{}", finished.output());
}

/// A loopback port of this machine that leads to the database.
fn only_here(url: &Url) -> u16 {
    let (host, port) = url.place();
    let place = format!("{host}:{port}");
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), TcpStream::connect(&place).unwrap());
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            // Ignore errors: either side may close the connection.
            spawn(move || copy(&mut from, &mut to));
            spawn(move || copy(&mut server, &mut client));
        }
    });
    port
}

/// Runs the command; returns its result and every state of the namespace's pods meanwhile.
fn watched(real: &Real, host: Host) -> (Finished, String) {
    let mut watch = Command::new("kubectl")
        .args(["--context", real.context(), "--namespace", real.namespace()])
        .args(["get", "pods", "--watch", "--output", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = watch.stdout.take().unwrap();
    let reading = spawn(move || {
        let mut seen = Vec::new();
        copy(&mut output, &mut seen).unwrap();
        String::from_utf8(seen).unwrap()
    });
    let finished = host.run();
    watch.kill().unwrap();
    watch.wait().unwrap();
    (finished, reading.join().unwrap())
}

#[test]
fn database_is_tested_from_a_pod() {
    let real = Real::shop("doctor-pods");
    let url = Url::given();
    // The node already has the app's image.
    let _ = real
        .deploy()
        .args(["--set", "secrets.apiKey=none"])
        .args(["--set", "secrets.databaseUrl=none"])
        .run()
        .expect_code(0);
    let (host, port) = url.place();
    real.project.write("service.yaml", &format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{ name: database }}\nspec: {{ ports: [{{ port: 5432 }}] }}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{ name: database, labels: {{ kubernetes.io/service-name: database }} }}\n\
         addressType: IPv4\nports: [{{ port: {port} }}]\nendpoints: [{{ addresses: [{host}] }}]\n"
    ));
    let file = real.project.root().join("service.yaml");
    let _ = real.kubectl(&format!("apply --filename {}", file.display()));
    // A loopback address of this machine, which leads to the pod itself in a pod.
    let only_here = url.at(&format!("127.1:{}", only_here(&url)));
    let inside = url.at(&format!("database.{}.svc:5432", real.namespace()));
    let wrong = inside.replacen(url.password(), CANARY, 1);
    let nowhere = url.at("no-such-host.invalid:5432");
    for (given, code, row, status, expected) in [
        (&url.0, 0, PODS, "PASS", "a pod can connect too"),
        (
            &only_here,
            3,
            PODS,
            "FAIL",
            "reachable from here but not from the cluster: nothing listens at 127.1:",
        ),
        (&inside, 0, PODS, "PASS", "a pod can connect; this machine cannot"),
        (
            &wrong,
            3,
            "User and password",
            "FAIL",
            "the rows above were checked from a pod; from this machine: the name database.",
        ),
        (&nowhere, 3, "Server answers", "FAIL", "a pod gets the same result as this machine"),
    ] {
        let (finished, seen) = watched(&real, doctor(&real, given));
        let finished = finished.expect_code(code);
        assert!(rows(&finished, status).contains(&row), "no {row}:\n{}", finished.output());
        assert!(finished.stderr.contains(expected), "no {expected}:\n{}", finished.output());
        assert!(seen.contains("todohost-relay-"), "no pod was seen:\n{seen}");
        assert_eq!(real.pods("todohost-relay"), Vec::<String>::new());
        let events = real.kubectl("get events --output json");
        for secret in [url.password(), CANARY] {
            for text in [&finished.output(), &seen, &events] {
                assert_eq!(leak::find(text.as_bytes(), secret), None);
            }
        }
    }
    // A loopback name is recognised without a pod.
    let (finished, seen) = watched(&real, doctor(&real, &url.at("localhost:1")));
    let finished = finished.expect_code(3);
    assert_eq!(rows(&finished, "WARNING"), [PODS], "{}", finished.output());
    assert!(!seen.contains("todohost-relay-"), "a pod was created:\n{seen}");
    #[cfg(unix)]
    a_stop_leaves_no_pod(&real, &url);
}

#[cfg(unix)]
fn a_stop_leaves_no_pod(real: &Real, url: &Url) {
    // This server accepts a connection and then waits for input.
    let silent = url.at(&format!("shop-web.{}.svc:80", real.namespace()));
    let running = doctor(real, &silent).spawn();
    let deadline = Instant::now() + Duration::from_mins(1);
    while real.pods("todohost-relay").is_empty() {
        assert!(Instant::now() < deadline, "no pod was created");
        sleep(Duration::from_millis(50));
    }
    running.interrupt();
    let finished = running.finish();
    assert_eq!(finished.code(), Some(130), "{}", finished.output());
    assert_eq!(real.pods("todohost-relay"), Vec::<String>::new());
}

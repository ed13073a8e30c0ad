//! What `doctor` says of a real cluster and a real database, and what it tells apart where one of them is not right.

use todohost_testkit::{Finished, Host, leak};
use todohost_tests::real::Real;

const CANARY: &str = "canary-2b7e1f40";

fn doctor(real: &Real, url: &str) -> Host {
    real.host()
        .args(["doctor", "--target", real.target()])
        .args(["--secret", "secrets.databaseUrl=env:DATABASE_URL"])
        .variable("DATABASE_URL", url)
}

/// The rows with this status, by their titles.
fn rows<'a>(finished: &'a Finished, status: &str) -> Vec<&'a str> {
    let lines = finished.stderr.lines();
    let titled = lines.filter_map(|line| line.split_once(&format!("  {status}  ")));
    titled.map(|(title, _)| title.trim_end()).collect()
}

/// The URL that tests are given, its password, and the same with another part.
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

    fn with(&self, from: &str, to: &str) -> String {
        assert!(self.0.contains(from), "the URL has no {from}");
        self.0.replacen(from, to, 1)
    }
}

#[test]
fn a_real_cluster_and_a_real_database_can_take_the_app() {
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
    ] {
        assert!(passed.contains(&row), "no {row}:\n{}", finished.output());
    }
    assert_eq!(leak::find(finished.output().as_bytes(), url.password()), None);
    assert!(real.object("namespace", real.namespace()).is_null());
}

#[test]
fn what_is_wrong_with_a_real_database_has_its_row() {
    let real = Real::shop("doctor-database");
    let url = Url::given();
    let database = format!("/{}?", url.database());
    let secure = "sslmode=require";
    for (changed, row, reason) in [
        (url.with(url.password(), CANARY), "User and password", "is wrong"),
        (url.with(&database, "/no_such?"), "Database", "there is no database no_such"),
        (url.with(secure, "sslmode=disable"), "Encryption", "lets nobody in without TLS"),
        (url.with(secure, "sslmode=verify-full"), "Encryption", "no agreement on TLS"),
    ] {
        let finished = doctor(&real, &changed).run().expect_code(3);
        assert_eq!(rows(&finished, "FAIL"), [row], "{}", finished.output());
        assert!(finished.stderr.contains(reason), "no {reason}:\n{}", finished.output());
        for secret in [url.password(), CANARY] {
            assert_eq!(leak::find(finished.output().as_bytes(), secret), None);
        }
    }
    // What only prefers TLS gets it from a server that has it.
    let finished = doctor(&real, &url.with(secure, "sslmode=prefer")).run().expect_code(0);
    assert!(rows(&finished, "PASS").contains(&"Database"), "{}", finished.output());
}

#[test]
fn what_is_wrong_with_a_real_cluster_has_its_row() {
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
    let told = format!("node port 30923 belongs to Service/other in {}", real.namespace());
    assert!(finished.stderr.contains(&told), "{}", finished.output());
}

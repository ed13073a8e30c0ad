//! The Todo app goes the whole road: deployed, used, deployed again, changed.
//!
//! One test, since its parts build on each other and the images take their time.

use serde_json::Value;
use todohost_testkit::{Finished, Host, leak};
use todohost_tests::real::{Real, todo_project};

use super::web::Visitor;

const JWT_SECRET: &str = "canary-9c2e6d17-signs-the-log-ins-of-this-test";
const NAMESPACE: &str = "todo-test";

fn deploy(real: &Real) -> Host {
    real.deploy()
        .args(["--secret", "secrets.databaseUrl=env:DATABASE_URL"])
        .args(["--set", &format!("secrets.jwtSecret={JWT_SECRET}")])
        // Beside an app that is deployed already.
        .args(["--set", "frontend.service.nodePort=30917"])
        .variable("DATABASE_URL", todohost_tests::variable("DATABASE_URL").unwrap())
        .args(["--output", "json"])
}

fn last(finished: &Finished) -> Value {
    finished.events().pop().unwrap()
}

fn image(real: &Real, name: &str) -> String {
    let deployment = real.object("deployment", name);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    container["image"].as_str().unwrap_or_default().to_owned()
}

/// The value may be in Secret objects, and nowhere else in what the cluster or this machine keeps.
fn assert_no_leak(real: &Real, finished: &Finished, secret: &str) {
    assert_eq!(leak::find(finished.output().as_bytes(), secret), None);
    assert_eq!(leak::find_in_files(real.project.folder(), secret), []);
    let kept = real.kubectl("get all,configmaps,events,endpointslices,leases -o json");
    assert_eq!(leak::find(kept.as_bytes(), secret), None, "in an object that is no Secret");
}

#[test]
fn the_whole_road() {
    let project = todo_project();
    project.replace(
        "todohost.toml",
        "namespace = \"todo-app\"",
        &format!("namespace = \"{NAMESPACE}\""),
    );
    let real = Real::new(project, NAMESPACE);
    let database = todohost_tests::variable("DATABASE_URL").unwrap();

    // From nothing to an app that is used.
    let first = deploy(&real).run().expect_code(0);
    assert_eq!(last(&first)["revision"], 1, "{}", first.stdout);
    for secret in [JWT_SECRET, &database] {
        assert_no_leak(&real, &first, secret);
    }
    let addresses = last(&first)["addresses"].clone();
    let address = addresses[0].as_str().expect("the app has an address").to_owned();
    let visitor = Visitor::new(&address, real.project.folder());
    let email = format!("ada-{}@example.com", std::process::id());
    let person = [("email", email.as_str()), ("password", "correct horse battery")];
    visitor.submit("/register", "password", &person);
    visitor.submit("/", "title", &[("title", "carry water")]);
    let other = tempfile::tempdir().unwrap();
    let returned = Visitor::new(&address, other.path());
    returned.submit("/login", "password", &person);
    assert!(returned.page("/").contains("carry water"));

    // Again: nothing to do, and nothing done.
    let (backend, frontend) = (real.pods("backend"), real.pods("frontend"));
    let second = deploy(&real).run().expect_code(0);
    assert_eq!(real.revisions(), ["1 deployed"], "{}", second.stdout);
    assert_eq!((&backend, &frontend), (&real.pods("backend"), &real.pods("frontend")));

    // A changed backend: it alone is built and replaced.
    let before = image(&real, "todo-app-backend");
    let health = "backend/src/todo/health.py";
    real.project.append(health, "\n# changed by a test\n");
    let third = deploy(&real).run().expect_code(0);
    assert_eq!(last(&third)["revision"], 2);
    let after = image(&real, "todo-app-backend");
    assert_ne!(before, after, "{}", third.stdout);
    for tag in [before.as_str(), after.as_str(), "todo-backend:latest"] {
        assert!(real.has_image(tag), "{tag}");
    }
    assert_eq!(real.pods("frontend"), frontend);
    assert_ne!(real.pods("backend"), backend);
    assert!(returned.page("/").contains("carry water"));
}

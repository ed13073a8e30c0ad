//! The Todo app from end to end: deployed, used, deployed again and changed; and upgraded and rolled back under load.
//!
//! Only two tests, because their steps depend on each other and the images take long to build.

use serde_json::Value;
use todohost_testkit::{Finished, Host, leak};
use todohost_tests::real::{Real, todo_project};

use super::load::{Load, Report, Target};
use super::web::Visitor;

const JWT_SECRET: &str = "canary-9c2e6d17-signs-the-log-ins-of-this-test";

/// The app in its own namespace.
fn todo(namespace: &str) -> Real {
    let project = todo_project();
    let named = format!("namespace = \"{namespace}\"");
    project.replace("todohost.toml", "namespace = \"todo-app\"", &named);
    Real::new(project, namespace)
}

/// A deploy that exposes the frontend at a port of this machine.
fn deploy(real: &Real, port: u16) -> Host {
    real.deploy()
        .args(["--secret", "secrets.databaseUrl=env:DATABASE_URL"])
        .args(["--set", &format!("secrets.jwtSecret={JWT_SECRET}")])
        // Another node port than that of an already deployed app.
        .args(["--set", &format!("frontend.service.nodePort={port}")])
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

/// Asserts that the secret is only in Secret objects, and not elsewhere in the cluster or on this machine.
fn assert_no_leak(real: &Real, finished: &Finished, secret: &str) {
    assert_eq!(leak::find(finished.output().as_bytes(), secret), None);
    assert_eq!(leak::find_in_files(real.project.folder(), secret), []);
    let kept = real.kubectl("get all,configmaps,events,endpointslices,leases -o json");
    assert_eq!(leak::find(kept.as_bytes(), secret), None, "in an object that is not a Secret");
}

#[test]
fn todo_app_is_deployed_used_and_updated() {
    let real = todo("todo-test");
    let deploy = |real: &Real| deploy(real, 30917);
    let database = todohost_tests::variable("DATABASE_URL").unwrap();

    // Deploy the app and use it.
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

    // A second deploy changes nothing.
    let (backend, frontend) = (real.pods("backend"), real.pods("frontend"));
    let second = deploy(&real).run().expect_code(0);
    assert_eq!(real.revisions(), ["1 deployed"], "{}", second.stdout);
    assert_eq!((&backend, &frontend), (&real.pods("backend"), &real.pods("frontend")));

    // A changed backend: only the backend is built and replaced.
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

/// The visitor's cookies as the value of a `Cookie` header.
fn cookie(folder: &std::path::Path) -> String {
    let jar = std::fs::read_to_string(folder.join("cookies")).unwrap();
    let lines = jar.lines().map(|line| line.trim_start_matches("#HttpOnly_"));
    let pairs = lines.filter_map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        (fields.len() == 7).then(|| format!("{}={}", fields[5], fields[6]))
    });
    pairs.collect::<Vec<_>>().join("; ")
}

#[expect(clippy::print_stdout, reason = "the figures are a result of this test")]
/// Asserts that both kinds of connection were used and that every request was answered.
fn assert_served(before: &[Report; 2], after: &[Report; 2], what: &str) {
    for (kind, (before, after)) in ["new", "kept"].iter().zip(before.iter().zip(after)) {
        println!(
            "{what}, {kind} connections: {} answered, {} failed, {} opened again",
            after.answered - before.answered,
            after.failed.len(),
            after.reopened
        );
        assert_eq!(after.failed, Vec::<String>::new(), "{what}, {kind} connections");
        assert!(after.answered >= before.answered + 20, "{what}, {kind}: {after:?}");
    }
}

#[test]
fn upgrade_and_rollback_under_load_lose_no_request_and_no_data() {
    let real = todo("todo-load");
    let first = deploy(&real, 30918).run().expect_code(0);
    let addresses = last(&first)["addresses"].clone();
    let address = addresses[0].as_str().expect("the app has an address").to_owned();
    let visitor = Visitor::new(&address, real.project.folder());
    let email = format!("grace-{}@example.com", std::process::id());
    let person = [("email", email.as_str()), ("password", "correct horse battery")];
    visitor.submit("/register", "password", &person);
    visitor.submit("/", "title", &[("title", "written before")]);
    let (backend, frontend) = (real.pods("backend"), real.pods("frontend"));

    let authority = address.split_once("://").unwrap().1.trim_end_matches('/').to_owned();
    let cookie = cookie(real.project.folder());
    let load = Load::begin(&Target { authority, cookie, expected: "written before".into() });

    // Upgrade the backend and replace the frontend's pods.
    real.project.append("backend/src/todo/health.py", "\n# changed by a test\n");
    let begun = load.so_far();
    let upgrade = deploy(&real, 30918).args(["--set", "frontend.resources.requests.cpu=60m"]).run();
    let upgrade = upgrade.expect_code(0);
    let upgraded = load.so_far();
    assert_eq!(last(&upgrade)["revision"], 2);
    assert!(backend.iter().all(|pod| !real.pods("backend").contains(pod)));
    assert!(frontend.iter().all(|pod| !real.pods("frontend").contains(pod)));
    assert_served(&begun, &upgraded, "upgrade");

    visitor.submit("/", "title", &[("title", "written after")]);
    let begun = load.so_far();
    let rollback = real.host().args(["rollback", "--output", "json", "--target", real.target()]);
    let rollback = rollback.run().expect_code(0);
    assert_eq!(last(&rollback)["revision"], 3);
    assert_served(&begun, &load.end(), "rollback");
    let page = visitor.page("/");
    for title in ["written before", "written after"] {
        assert!(page.contains(title), "no {title} in:\n{page}");
    }
    assert_eq!(real.revisions(), ["1 superseded", "2 superseded", "3 deployed"]);
}

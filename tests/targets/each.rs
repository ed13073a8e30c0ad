//! The same project on every target, by changing only `--target`.

use serde_json::Value;
use todohost_testkit::Finished;
use todohost_tests::address;
use todohost_tests::real::Real;

use super::{deploy, listed, targets};

/// Asserts that the app answers at the printed address, or through the printed command.
fn assert_answers(real: &Real, deployed: &Finished) {
    let end = deployed.events().pop().unwrap();
    let address = end["addresses"][0].as_str().unwrap_or_default();
    let answers = |address: &str| {
        // The response has the pod's name, which proves that it comes from this cluster and this deploy.
        let answer = address::get(address);
        assert!(real.pods("shop-web").contains(&answer), "{address}: {answer}\n{end:#}");
    };
    if address.starts_with("http://") {
        return answers(address);
    }
    // The node of such a cluster is a container with the ports it was created with.
    assert_ne!(real.target(), "docker-desktop", "{end:#}");
    let words: Vec<&str> = address.split_whitespace().collect();
    let [_, command @ ..] = words.as_slice() else {
        panic!("neither address nor command: {end:#}")
    };
    let port = address::free_port().to_string();
    let mut running = real.host().args(command).args(["--port", &port]).spawn();
    let there = format!("http://127.0.0.1:{port}");
    running.wait_for_output(&there);
    answers(&there);
    #[cfg(unix)]
    {
        running.interrupt();
        let _ = running.finish().expect_code(0);
    }
}

fn goes_to(real: &Real) {
    let first = deploy(real).run().expect_code(0);
    let deployment = real.object("deployment", "shop-web");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["imagePullPolicy"], "Never", "{deployment:#}");
    assert_eq!(deployment["status"]["availableReplicas"], 1, "{deployment:#}");
    assert_answers(real, &first);

    let pods = real.pods("shop-web");
    let second = deploy(real).run().expect_code(0);
    let end = second.events().pop().unwrap();
    let summary = end["summary"].as_str().unwrap();
    assert!(summary.starts_with("nothing changed"), "{end:#}");
    assert_eq!(second.events_of("image-delivered"), Vec::<Value>::new());
    assert_eq!((real.revisions(), real.pods("shop-web")), (vec!["1 deployed".to_owned()], pods));

    let delete = ["delete", "--target", real.target(), "--yes", "--with-namespace"];
    let _ = real.host().args(delete).run().expect_code(0);
    real.assert_nothing_left();
}

#[test]
fn same_project_is_deployed_to_and_deleted_from_each_target() {
    let all = Real::shop_on(targets(), "each");
    let project = &all[0].project;
    project.replace("chart/values.yaml", "ClusterIP", "NodePort");
    project.replace("web/server.py", "os.environ[\"GREETING\"]", "os.environ[\"HOSTNAME\"]");
    std::thread::scope(|scope| {
        for real in &all {
            scope.spawn(|| goes_to(real));
        }
    });
}

#[test]
fn target_list_has_the_state_of_each_target() {
    for real in Real::shop_on(targets(), "listed") {
        let entry = listed(&real.host(), real.target());
        assert_eq!((&entry["state"], &entry["local"]), (&"ready".into(), &true.into()), "{entry}");
        assert_eq!(entry["offer"], Value::Null, "{entry}");

        // The first event of each target has the time of its detection.
        let asked = ["deploy", "--dry-run", "--target", "auto", "--output", "json"];
        let listed = real.host().args(asked).args(super::SECRET).run().expect_code(0);
        let detected = listed
            .events_of("plugin-call")
            .into_iter()
            .find(|event| event["export"] == "target.detect" && event["plugin"] == real.target());
        let detected = detected.unwrap_or_else(|| panic!("{}", listed.output()));
        println!("{}: detected in {} ms", real.target(), detected["elapsed_ms"]);
    }
}

//! Releases that stock Helm, of either major, and todohost hand to each other.
//!
//! After each step it is looked at what the next one depends on: the record, the marks, and who manages which field.

use serde_json::{Value, json};
use todohost_tests::helm::Helm;
use todohost_tests::parcel::TOKEN;
use todohost_tests::real::Real;

/// `MANAGER OPERATION` of everyone who manages fields of an object, less what controllers report.
fn managers(real: &Real, kind: &str, name: &str) -> Vec<String> {
    let text = real.kubectl(&format!("get {kind} {name} -o json --show-managed-fields"));
    let object: Value = serde_json::from_str(&text).unwrap();
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let mut managers: Vec<String> = entries
        .iter()
        .filter(|entry| {
            entry["subresource"].is_null() && entry["manager"] != "kube-controller-manager"
        })
        .map(|entry| {
            let word = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            format!("{} {}", word("manager"), word("operation"))
        })
        .collect();
    managers.sort();
    managers
}

const KINDS: [(&str, &str); 5] = [
    ("secret", "parcel-token"),
    ("configmap", "parcel-settings"),
    ("configmap", "parcel-kept"),
    ("deployment", "parcel"),
    ("service", "parcel"),
];

/// Nobody but Helm's one manager, by server-side apply, owns fields that a release has set.
fn assert_only_applied(real: &Real) {
    for (kind, name) in KINDS {
        assert_eq!(managers(real, kind, name), ["helm Apply"], "{kind}/{name}");
    }
}

fn assert_marked(real: &Real) {
    for (kind, name) in KINDS {
        let metadata = real.object(kind, name)["metadata"].clone();
        assert_eq!(metadata["labels"]["app.kubernetes.io/managed-by"], "Helm", "{kind}/{name}");
        let marks = &metadata["annotations"];
        assert_eq!(marks["meta.helm.sh/release-name"], "parcel", "{kind}/{name}");
        assert_eq!(marks["meta.helm.sh/release-namespace"], real.namespace(), "{kind}/{name}");
    }
}

fn settings(real: &Real) -> Value {
    real.object("configmap", "parcel-settings")["data"].clone()
}

fn token(real: &Real) -> String {
    use base64::Engine as _;
    let secret = real.object("secret", "parcel-token");
    let data = secret["data"]["TOKEN"].as_str().unwrap();
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(data).unwrap()).unwrap()
}

/// How the newest revision says that its objects were applied; only Helm 4 tells.
fn apply_method(real: &Real) -> String {
    let metadata = Helm::four().json(real, "get metadata parcel");
    metadata["applyMethod"].as_str().unwrap_or_default().to_owned()
}

/// What stock Helm reads of what todohost deployed.
fn reads(real: &Real, helm: &Helm) {
    let list = helm.json(real, "list");
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    assert_eq!((&list[0]["name"], &list[0]["revision"]), (&json!("parcel"), &json!("1")));
    assert_eq!((&list[0]["status"], &list[0]["app_version"]), (&json!("deployed"), &json!("7")));
    assert_eq!(list[0]["chart"], "parcel-0.3.0");

    let status = helm.json(real, "status parcel");
    assert_eq!(status["info"]["status"], "deployed");
    assert_eq!(status["info"]["notes"], "revision 1 says hello\n");
    let hooks = status["hooks"].as_array().unwrap();
    let phase = |name: &str| {
        let hook = hooks.iter().find(|hook| hook["name"] == name).unwrap();
        hook["last_run"]["phase"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(
        (phase("parcel-migrate").as_str(), phase("parcel-check").as_str()),
        ("Succeeded", "")
    );
    assert!(helm.ok(real, "status parcel").contains("STATUS: deployed"));

    let history = helm.json(real, "history parcel");
    assert_eq!(history[0]["description"], "Install complete");
    assert_eq!(helm.json(real, "get values parcel"), json!({ "greeting": "hello" }));
    let manifest = helm.ok(real, "get manifest parcel");
    for name in ["parcel-token", "parcel-settings", "parcel-kept", "kind: 'Deployment'"] {
        assert!(manifest.contains(name), "no {name} in\n{manifest}");
    }
    assert!(helm.ok(real, "get notes parcel").contains("revision 1 says hello"));
    let hooks = helm.ok(real, "get hooks parcel");
    assert!(hooks.contains("parcel-migrate") && hooks.contains("helm.sh/hook"), "{hooks}");
}

/// Everything that stock Helm can do to what todohost deployed.
fn changes(name: &str, helm: &Helm) {
    let real = Real::parcel(name);
    let deploy = |values: &[&str]| real.deploy_parcel(values).run().expect_code(0);
    let _ = deploy(&["greeting=hello"]);
    assert_only_applied(&real);
    assert_marked(&real);
    assert_eq!(apply_method(&real), "ssa");
    reads(&real, helm);

    // Back to the first of two.
    let _ = deploy(&["greeting=bye", "motto=parting"]);
    let _ = helm.ok(&real, "rollback parcel 1 --wait");
    assert_eq!(settings(&real), json!({ "greeting": "hello" }));
    assert_eq!(token(&real), TOKEN);
    assert_eq!(real.revisions(), ["1 superseded", "2 superseded", "3 deployed"]);

    // The secret is in no recorded values: what would render without it is refused instead of deployed.
    for line in ["upgrade parcel chart --reuse-values", "upgrade parcel chart"] {
        let said = helm.run(&real, line);
        assert!(!said.ok && said.stderr.contains("secrets.token is required"), "{}", said.stderr);
    }
    assert_eq!(token(&real), TOKEN);

    let line =
        format!("upgrade parcel chart --wait --set greeting=third,motto=m,secrets.token={TOKEN}2");
    let _ = helm.ok(&real, &line);
    assert_eq!(settings(&real), json!({ "greeting": "third", "motto": "m" }));
    assert_eq!(token(&real), format!("{TOKEN}2"));
    assert_marked(&real);

    // And todohost again: what it no longer wants goes, also where stock Helm had set it.
    let finished = deploy(&["greeting=fourth"]);
    assert_eq!(settings(&real), json!({ "greeting": "fourth" }), "{}", finished.output());
    assert_eq!(token(&real), TOKEN);
    assert_eq!(managers(&real, "configmap", "parcel-settings"), ["helm Apply"]);
    assert_eq!(apply_method(&real), "ssa");

    let _ = helm.ok(&real, "uninstall parcel --wait");
    let left = real.kubectl("get deployment,service,configmap,secret -o name");
    let left: Vec<&str> = left.lines().filter(|name| !name.contains("kube-root-ca")).collect();
    assert_eq!(left, ["configmap/parcel-kept", "secret/todohost.salt.parcel"]);
    assert_eq!(real.revisions(), Vec::<String>::new());
}

#[test]
fn helm_3_works_on_what_todohost_deployed() {
    changes("helm-3", &Helm::three());
}

#[test]
fn helm_4_works_on_what_todohost_deployed() {
    changes("helm-4", &Helm::four());
}

/// todohost takes over what stock Helm installed, changes it and takes it away.
fn takes_over(name: &str, helm: &Helm) {
    let real = Real::parcel(name);
    let values = format!("greeting=hello,motto=first,secrets.token={TOKEN}");
    let install = format!("install parcel chart --create-namespace --wait --set {values}");
    let _ = helm.ok(&real, &install);
    let todohost = |command: &str| {
        let args = command.split_whitespace();
        real.host().args(args).args(["--target", real.target()]).run().expect_code(0)
    };

    // The same again is nothing new.
    let same = real.deploy_parcel(&["greeting=hello", "motto=first"]).run().expect_code(0);
    assert_eq!(real.revisions(), ["1 deployed"], "{}", same.output());

    let second = real.deploy_parcel(&["greeting=bye", "replicas=2"]).run().expect_code(0);
    assert_eq!(real.revisions(), ["1 superseded", "2 deployed"], "{}", second.output());
    assert_eq!(settings(&real), json!({ "greeting": "bye" }), "a value that is gone stays away");
    assert_eq!(real.object("deployment", "parcel")["spec"]["replicas"], 2);
    for (kind, name) in [("configmap", "parcel-settings"), ("deployment", "parcel")] {
        assert_eq!(managers(&real, kind, name), ["helm Apply"], "{kind}/{name}");
    }
    assert_marked(&real);
    assert_eq!(apply_method(&real), "ssa");
    assert_eq!(helm.json(&real, "list")[0]["revision"], "2");

    // Once more by stock Helm, and once more taken over.
    let line =
        format!("upgrade parcel chart --wait --set greeting=between,motto=m,secrets.token={TOKEN}");
    let _ = helm.ok(&real, &line);
    assert_eq!(settings(&real), json!({ "greeting": "between", "motto": "m" }));
    let _ = real.deploy_parcel(&["greeting=last"]).run().expect_code(0);
    assert_eq!(settings(&real), json!({ "greeting": "last" }));

    let history = todohost("history -o json");
    let history: Value = serde_json::from_str(&history.stdout).unwrap();
    let made_by: Vec<&str> =
        history.as_array().unwrap().iter().filter_map(|one| one["madeBy"].as_str()).collect();
    assert_eq!((made_by[0], made_by[2]), ("helm", "helm"));
    // Stock Helm superseded the second and dropped what it does not know of it.
    assert!(made_by[1] == "todohost" && made_by[3].starts_with("todohost "), "{history}");

    let _ = todohost("rollback 1");
    assert_eq!(settings(&real), json!({ "greeting": "hello", "motto": "first" }));
    assert_eq!(real.object("deployment", "parcel")["spec"]["replicas"], 1);
    assert_eq!(token(&real), TOKEN);
    let listed = helm.json(&real, "history parcel");
    let newest = listed.as_array().unwrap().last().unwrap();
    assert_eq!((&newest["revision"], &newest["description"]), (&json!(5), &json!("Rollback to 1")));

    let deleted = todohost("delete --yes");
    assert!(deleted.stderr.contains("parcel-kept kept"), "{}", deleted.stderr);
    assert!(deleted.stderr.contains("pre-delete hook completed"), "{}", deleted.stderr);
    let left = real.kubectl("get deployment,service,configmap,secret,job,pod,lease -o name");
    let left: Vec<&str> = left.lines().filter(|name| !name.contains("kube-root-ca")).collect();
    assert_eq!(left, ["configmap/parcel-kept"]);
}

#[test]
fn todohost_takes_over_from_helm_3() {
    takes_over("over-3", &Helm::three());
}

#[test]
fn todohost_takes_over_from_helm_4() {
    takes_over("over-4", &Helm::four());
}

#[test]
fn todohost_takes_over_from_helm_4_on_the_client() {
    takes_over("over-4-client", &Helm::four_on_the_client());
}

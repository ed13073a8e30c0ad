//! Releases that stock Helm 3 or 4 and todohost change in turn.
//!
//! After each step the tests check everything that the next step depends on: the record, the labels, the field
//! managers, the hooks, the kept objects, and each program's view of the other's revisions.

use serde_json::{Value, json};
use todohost_tests::helm::Helm;
use todohost_tests::parcel::TOKEN;
use todohost_tests::real::Real;

/// `MANAGER OPERATION` of each field manager of an object, without status updates of controllers.
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

fn settings(real: &Real) -> Value {
    real.object("configmap", "parcel-settings")["data"].clone()
}

fn token(real: &Real) -> String {
    use base64::Engine as _;
    let secret = real.object("secret", "parcel-token");
    let data = secret["data"]["TOKEN"].as_str().unwrap();
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(data).unwrap()).unwrap()
}

/// todohost's JSON document about the release.
fn shown(real: &Real, command: &str) -> Value {
    let finished = real
        .host()
        .args([command, "--output", "json", "--target", real.target()])
        .run()
        .expect_code(0);
    let text = &finished.stdout;
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{command}: {error}\n{text}"))
}

/// The program that took a step.
#[derive(Clone, Copy)]
enum By<'a> {
    Todohost,
    Stock(&'a Helm),
}

/// The expected state after a step.
struct Step<'a> {
    by: By<'a>,
    revision: u64,
    description: &'a str,
    settings: Value,
    /// Phase of the migration hook in the record; rollbacks run no migration.
    migrated: &'a str,
}

/// The release that both programs change.
struct Handed<'a> {
    real: &'a Real,
    /// The stock Helm that reads the release.
    helm: &'a Helm,
    /// UID of the object that must survive every step.
    kept: Value,
}

impl<'a> Handed<'a> {
    fn new(real: &'a Real, helm: &'a Helm) -> Self {
        Self { real, helm, kept: Value::Null }
    }

    /// Asserts the state after a step of either program.
    fn after_step(&mut self, step: &Step<'_>) {
        let at = format!("revision {}: {}", step.revision, step.description);
        self.assert_managed(step, &at);
        self.assert_marked(&at);
        assert_eq!(settings(self.real), step.settings, "{at}");
        let kept = self.real.object("configmap", "parcel-kept")["metadata"].clone();
        assert_eq!(kept["annotations"]["helm.sh/resource-policy"], "keep", "{at}");
        if self.kept.is_null() {
            self.kept = kept["uid"].clone();
        }
        assert_eq!(self.kept, kept["uid"], "{at}: the kept object was created again");
        self.assert_recorded(step, &at);
        self.assert_shown(step, &at);
    }

    /// Asserts that Helm's field manager is the only owner of the release's fields, with the operation in the record.
    fn assert_managed(&self, step: &Step<'_>, at: &str) {
        let is_applied = match step.by {
            By::Todohost => true,
            By::Stock(helm) => helm.method == "ssa",
        };
        for (kind, name) in KINDS {
            let managers = managers(self.real, kind, name);
            if is_applied {
                assert_eq!(managers, ["helm Apply"], "{at}, {kind}/{name}");
            } else {
                let is_helm = |manager: &String| manager.starts_with("helm ");
                assert!(managers.iter().all(is_helm), "{at}, {kind}/{name}: {managers:?}");
            }
        }
        if !is_applied {
            let changed = managers(self.real, "configmap", "parcel-settings");
            assert!(changed.contains(&"helm Update".to_owned()), "{at}: {changed:?}");
        }
    }

    fn assert_marked(&self, at: &str) {
        for (kind, name) in KINDS {
            let metadata = self.real.object(kind, name)["metadata"].clone();
            let label = &metadata["labels"]["app.kubernetes.io/managed-by"];
            assert_eq!(label, "Helm", "{at}, {kind}/{name}");
            let marks = &metadata["annotations"];
            assert_eq!(marks["meta.helm.sh/release-name"], "parcel", "{at}, {kind}/{name}");
            let namespace = &marks["meta.helm.sh/release-namespace"];
            assert_eq!(namespace, self.real.namespace(), "{at}, {kind}/{name}");
        }
    }

    /// Asserts the release as stock Helm reads it.
    fn assert_recorded(&self, step: &Step<'_>, at: &str) {
        let (real, helm) = (self.real, self.helm);
        let list = helm.json(real, "list");
        assert_eq!(list.as_array().unwrap().len(), 1, "{at}: {list}");
        assert_eq!(list[0]["revision"], step.revision.to_string(), "{at}");
        assert_eq!(list[0]["status"], "deployed", "{at}");

        let history = helm.json(real, "history parcel");
        let history = history.as_array().unwrap();
        let newest = history.last().unwrap();
        assert_eq!(newest["revision"], step.revision, "{at}");
        assert_eq!(newest["description"], step.description, "{at}");
        let (newest, older) = history.split_last().unwrap();
        assert_eq!(newest["status"], "deployed", "{at}");
        assert!(older.iter().all(|one| one["status"] == "superseded"), "{at}: {older:#?}");

        // Only Helm 4 shows the apply method.
        let metadata = Helm::four().json(real, "get metadata parcel");
        let method = match step.by {
            By::Todohost => "ssa",
            By::Stock(helm) => helm.method,
        };
        assert_eq!(metadata["applyMethod"].as_str().unwrap_or_default(), method, "{at}");

        let status = helm.json(real, "status parcel");
        let hooks = status["hooks"].as_array().unwrap();
        let phase = |name: &str| {
            let hook = hooks.iter().find(|hook| hook["name"] == name).unwrap();
            hook["last_run"]["phase"].as_str().unwrap_or_default().to_owned()
        };
        let phases = ["parcel-migrate", "parcel-farewell", "parcel-check"].map(phase);
        assert_eq!(phases, [step.migrated, "", ""], "{at}");
    }

    /// Asserts the release as todohost shows it.
    fn assert_shown(&self, step: &Step<'_>, at: &str) {
        let status = shown(self.real, "status");
        assert_eq!(status["revision"], step.revision, "{at}: {status:#}");
        assert_eq!(status["status"], "deployed", "{at}: {status:#}");
        assert_eq!(status["record"]["description"], step.description, "{at}: {status:#}");
        let objects = status["objects"].as_array().unwrap();
        assert_eq!(objects.len(), KINDS.len(), "{at}: {status:#}");
        let is_well = |object: &Value| object["health"] == "healthy";
        assert!(objects.iter().all(is_well), "{at}: {status:#}");
        let notes = status["notes"].as_str().unwrap();
        let says = format!("says {}", step.settings["greeting"].as_str().unwrap());
        assert!(notes.contains(&says), "{at}: {notes}");

        let history = shown(self.real, "history");
        let newest = history.as_array().unwrap().last().unwrap().clone();
        assert_eq!(newest["revision"], step.revision, "{at}");
        assert_eq!(newest["status"], "deployed", "{at}");
        assert_eq!(newest["chart"], "parcel-0.3.0", "{at}");
        let made_by = newest["madeBy"].as_str().unwrap();
        match step.by {
            By::Todohost => assert!(made_by.starts_with("todohost "), "{at}: {made_by}"),
            By::Stock(_) => assert_eq!(made_by, "helm", "{at}"),
        }
    }
}

/// Asserts stock Helm's view of a release that todohost deployed.
fn reads(real: &Real, helm: &Helm) {
    let list = helm.json(real, "list");
    assert_eq!((&list[0]["name"], &list[0]["app_version"]), (&json!("parcel"), &json!("7")));
    assert_eq!(list[0]["chart"], "parcel-0.3.0");

    let status = helm.json(real, "status parcel");
    assert_eq!(status["info"]["status"], "deployed");
    assert_eq!(status["info"]["notes"], "revision 1 says hello\n");
    assert!(helm.ok(real, "status parcel").contains("STATUS: deployed"));

    assert_eq!(helm.json(real, "get values parcel"), json!({ "greeting": "hello" }));
    let manifest = helm.ok(real, "get manifest parcel");
    for name in ["parcel-token", "parcel-settings", "parcel-kept", "kind: 'Deployment'"] {
        assert!(manifest.contains(name), "no {name} in\n{manifest}");
    }
    assert!(helm.ok(real, "get notes parcel").contains("revision 1 says hello"));
    let hooks = helm.ok(real, "get hooks parcel");
    assert!(hooks.contains("parcel-migrate") && hooks.contains("helm.sh/hook"), "{hooks}");
}

/// Runs every command of stock Helm on a release that todohost deployed.
fn changes(name: &str, helm: &Helm) {
    let real = Real::parcel(name);
    let mut handed = Handed::new(&real, helm);
    let deploy = |values: &[&str]| real.deploy_parcel(values).run().expect_code(0);
    let _ = deploy(&["greeting=hello"]);
    let first = Step {
        by: By::Todohost,
        revision: 1,
        description: "Install complete",
        settings: json!({ "greeting": "hello" }),
        migrated: "Succeeded",
    };
    handed.after_step(&first);
    reads(&real, helm);

    // Roll back to revision 1 of 2.
    let _ = deploy(&["greeting=bye", "motto=parting"]);
    handed.after_step(&Step {
        revision: 2,
        description: "Upgrade complete",
        settings: json!({ "greeting": "bye", "motto": "parting" }),
        ..first
    });
    let _ = helm.ok(&real, "rollback parcel 1 --wait");
    assert_eq!(token(&real), TOKEN);
    handed.after_step(&Step {
        by: By::Stock(helm),
        revision: 3,
        description: "Rollback to 1",
        settings: json!({ "greeting": "hello" }),
        ..first
    });

    // The recorded values lack the secret, so a chart that requires it is refused instead of deployed without it.
    for line in ["upgrade parcel chart --reuse-values", "upgrade parcel chart"] {
        let said = helm.run(&real, line);
        assert!(!said.ok && said.stderr.contains("secrets.token is required"), "{}", said.stderr);
    }
    assert_eq!(token(&real), TOKEN);
    assert_eq!(real.revisions(), ["1 superseded", "2 superseded", "3 deployed"]);

    let line =
        format!("upgrade parcel chart --wait --set greeting=third,motto=m,secrets.token={TOKEN}2");
    let _ = helm.ok(&real, &line);
    assert_eq!(token(&real), format!("{TOKEN}2"));
    handed.after_step(&Step {
        by: By::Stock(helm),
        revision: 4,
        description: "Upgrade complete",
        settings: json!({ "greeting": "third", "motto": "m" }),
        ..first
    });

    // todohost again: fields that it no longer renders are removed, including those set by stock Helm.
    let _ = deploy(&["greeting=fourth"]);
    assert_eq!(token(&real), TOKEN);
    handed.after_step(&Step {
        revision: 5,
        description: "Upgrade complete",
        settings: json!({ "greeting": "fourth" }),
        ..first
    });

    let _ = helm.ok(&real, "uninstall parcel --wait");
    let left = real.kubectl("get deployment,service,configmap,secret -o name");
    let left: Vec<&str> = left.lines().filter(|name| !name.contains("kube-root-ca")).collect();
    assert_eq!(left, ["configmap/parcel-kept", "secret/todohost.salt.parcel"]);
    assert_eq!(real.object("configmap", "parcel-kept")["metadata"]["uid"], handed.kept);
    assert_eq!(real.revisions(), Vec::<String>::new());
}

#[test]
fn helm_3_manages_a_release_of_todohost() {
    changes("helm-3", &Helm::three());
}

#[test]
fn helm_4_manages_a_release_of_todohost() {
    changes("helm-4", &Helm::four());
}

/// todohost takes over a release of stock Helm, changes it and deletes it.
fn takes_over(name: &str, helm: &Helm) {
    let real = Real::parcel(name);
    let mut handed = Handed::new(&real, helm);
    let values = format!("greeting=hello,motto=first,secrets.token={TOKEN}");
    let install = format!("install parcel chart --create-namespace --wait --set {values}");
    let _ = helm.ok(&real, &install);
    let installed = Step {
        by: By::Stock(helm),
        revision: 1,
        description: "Install complete",
        settings: json!({ "greeting": "hello", "motto": "first" }),
        migrated: "Succeeded",
    };
    handed.after_step(&installed);
    let todohost = |command: &str| {
        let args = command.split_whitespace();
        real.host().args(args).args(["--target", real.target()]).run().expect_code(0)
    };

    // A deploy with equal values changes nothing.
    let same = real.deploy_parcel(&["greeting=hello", "motto=first"]).run().expect_code(0);
    assert_eq!(real.revisions(), ["1 deployed"], "{}", same.output());
    handed.after_step(&installed);

    let second = real.deploy_parcel(&["greeting=bye", "replicas=2"]).run().expect_code(0);
    assert_eq!(real.revisions(), ["1 superseded", "2 deployed"], "{}", second.output());
    assert_eq!(real.object("deployment", "parcel")["spec"]["replicas"], 2);
    // A removed value stays removed.
    let taken_over = Step {
        by: By::Todohost,
        revision: 2,
        description: "Upgrade complete",
        settings: json!({ "greeting": "bye" }),
        ..installed
    };
    handed.after_step(&taken_over);

    // Stock Helm changes a value that the previous step kept, and todohost takes over once more.
    let line = format!(
        "upgrade parcel chart --wait --set greeting=between,motto=m,secrets.token={TOKEN}2"
    );
    let _ = helm.ok(&real, &line);
    assert_eq!(token(&real), format!("{TOKEN}2"));
    handed.after_step(&Step {
        by: By::Stock(helm),
        revision: 3,
        settings: json!({ "greeting": "between", "motto": "m" }),
        ..taken_over
    });
    let _ = real.deploy_parcel(&["greeting=last"]).run().expect_code(0);
    handed.after_step(&Step { revision: 4, settings: json!({ "greeting": "last" }), ..taken_over });

    let history = shown(&real, "history");
    let made_by: Vec<&str> =
        history.as_array().unwrap().iter().filter_map(|one| one["madeBy"].as_str()).collect();
    assert_eq!((made_by[0], made_by[2]), ("helm", "helm"));
    // Stock Helm superseded revision 2 and dropped the fields of the record that it does not know.
    assert!(made_by[1] == "todohost" && made_by[3].starts_with("todohost "), "{history}");

    let _ = todohost("rollback 1");
    assert_eq!(real.object("deployment", "parcel")["spec"]["replicas"], 1);
    assert_eq!(token(&real), TOKEN);
    handed.after_step(&Step {
        by: By::Todohost,
        revision: 5,
        description: "Rollback to 1",
        migrated: "",
        ..installed
    });

    let deleted = todohost("delete --yes");
    assert!(deleted.stderr.contains("parcel-kept kept"), "{}", deleted.stderr);
    assert!(deleted.stderr.contains("pre-delete hook completed"), "{}", deleted.stderr);
    let left = real.kubectl("get deployment,service,configmap,secret,job,pod,lease -o name");
    let left: Vec<&str> = left.lines().filter(|name| !name.contains("kube-root-ca")).collect();
    assert_eq!(left, ["configmap/parcel-kept"]);
    assert_eq!(real.object("configmap", "parcel-kept")["metadata"]["uid"], handed.kept);
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

/// Helm 4 changes fields that Helm 3 set and todohost kept; the record has the apply method of each revision.
#[test]
fn helm_4_continues_after_todohost_took_over_from_helm_3() {
    let (three, four) = (Helm::three(), Helm::four());
    let real = Real::parcel("three-four");
    let mut handed = Handed::new(&real, &four);
    let install =
        "install parcel chart --create-namespace --wait --set greeting=hello,secrets.token=";
    let _ = three.ok(&real, &format!("{install}{TOKEN}"));
    let installed = Step {
        by: By::Stock(&three),
        revision: 1,
        description: "Install complete",
        settings: json!({ "greeting": "hello" }),
        migrated: "Succeeded",
    };
    handed.after_step(&installed);
    let _ = real.deploy_parcel(&["greeting=bye"]).run().expect_code(0);
    let upgraded = Step {
        by: By::Todohost,
        revision: 2,
        description: "Upgrade complete",
        settings: json!({ "greeting": "bye" }),
        ..installed
    };
    handed.after_step(&upgraded);
    let upgrade = "upgrade parcel chart --wait --set greeting=third,secrets.token=";
    let _ = four.ok(&real, &format!("{upgrade}{TOKEN}2"));
    assert_eq!(token(&real), format!("{TOKEN}2"));
    handed.after_step(&Step {
        by: By::Stock(&four),
        revision: 3,
        settings: json!({ "greeting": "third" }),
        ..upgraded
    });
}

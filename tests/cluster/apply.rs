//! Differences, fields of other managers, and new kinds on a real API server. These tests run no pods.

use todohost_testkit::{Finished, Project};
use todohost_tests::real::Real;

const DEFINITION: &str = "gadgets.apply-test.todohost.example";

/// A Deployment without pods, with a Service and a Secret, in a namespace called `objects-NAME`.
fn objects(name: &str) -> Real {
    let namespace = format!("objects-{name}");
    let project = Project::empty();
    project.write(
        "todohost.toml",
        &format!(
            "[app]\nname = \"shop\"\nnamespace = \"{namespace}\"\nchart = \"chart\"\n[secrets]\n\"secrets.key\" = {{}}\n"
        ),
    );
    for (path, content) in [
        ("chart/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 0.1.0\n"),
        ("chart/values.yaml", "greeting: hello\nsecrets: { key: '' }\n"),
        (
            "chart/templates/secret.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: { name: shop }\ndata: { key: {{ .Values.secrets.key | b64enc }} }\n",
        ),
        (
            "chart/templates/service.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: { name: shop-web }\nspec: { ports: [{ port: 80 }] }\n",
        ),
        (
            "chart/templates/deployment.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: shop-web }\nspec:\n  replicas: 0\n  selector: { matchLabels: { app: web } }\n  template:\n    metadata: { labels: { app: web } }\n    spec:\n      containers:\n        - name: web\n          image: nobody/has-it:1\n          env: [{ name: GREETING, value: {{ .Values.greeting }} }]\n",
        ),
    ] {
        project.write(path, content);
    }
    Real::new(project, &namespace)
}

fn run(real: &Real, args: &[&str]) -> Finished {
    let finished = real.host().args(args).args(["--set", "secrets.key=canary-77c1d0"]).run();
    assert!(!finished.output().contains("canary-77c1d0"), "{}", finished.output());
    finished
}

/// The definition outlives every release, so the test deletes it.
struct Definition<'a>(&'a Real);

impl Drop for Definition<'_> {
    fn drop(&mut self) {
        let _ = self
            .0
            .kubectl(&format!("delete customresourcedefinition {DEFINITION} --ignore-not-found"));
    }
}

fn changed(finished: &Finished) -> Vec<&str> {
    finished.stdout.lines().filter(|line| line.starts_with(['+', '-'])).collect()
}

#[test]
fn diff_has_no_noise_and_a_plan_is_valid_until_drift() {
    let real = objects("diff");
    let target = real.target().to_owned();
    let with = |command: &str, args: &[&str]| {
        run(&real, &[&[command, "--target", &target], args].concat())
    };
    let _ = with("deploy", &[]).expect_code(0);
    let finished = with("diff", &[]).expect_code(0);
    assert_eq!(finished.stdout, "", "{}", finished.output());
    let finished = with("diff", &["--set", "greeting=hi"]).expect_code(2);
    let lines = changed(&finished);
    assert_eq!(lines.len(), 2, "{}", finished.output());
    assert!(lines[0].ends_with(" value: hello") && lines[1].ends_with(" value: hi"), "{lines:?}");

    let _ = with("plan", &["-o", "next.json", "--set", "greeting=hi"]).expect_code(0);
    let _ = real.kubectl("label service shop-web by=hand");
    let finished = run(&real, &["deploy", "--plan", "next.json"]).expect_code(3);
    assert!(finished.stderr.contains("Service/shop-web was changed"), "{}", finished.output());
    let _ = real.kubectl("label service shop-web by-");
    let finished = run(&real, &["deploy", "--plan", "next.json"]).expect_code(0);
    assert_eq!(real.revisions(), ["1 superseded", "2 deployed"], "{}", finished.output());
}

#[test]
fn foreign_fields_are_listed_and_taken_but_not_from_an_autoscaler() {
    let real = objects("conflict");
    let target = real.target().to_owned();
    let deploy = |args: &[&str]| run(&real, &[&["deploy", "--target", &target], args].concat());
    let _ = deploy(&[]).expect_code(0);
    let _ = real.kubectl("scale deployment shop-web --replicas=1");
    let finished = deploy(&["--set", "greeting=hi"]).expect_code(10);
    // The API server records no time for changes through the scale subresource.
    let expected = "apps/v1 Deployment/shop-web .spec.replicas is managed by kubectl\n";
    assert!(finished.stderr.contains(expected), "{}", finished.output());
    assert_eq!(real.revisions(), ["1 deployed"]);
    let _ = deploy(&["--take", "Deployment/shop-web:.spec.replicas"]).expect_code(0);
    assert_eq!(real.object("deployment", "shop-web")["spec"]["replicas"], 0);

    let scale = "patch deployment shop-web --subresource=scale --type=merge --field-manager=scaler";
    let _ = real.kubectl(&format!("{scale} -p {{\"spec\":{{\"replicas\":1}}}}"));
    assert_eq!(real.object("deployment", "shop-web")["spec"]["replicas"], 1);
    let finished = run(&real, &["diff", "--target", &target, "--force"]).expect_code(0);
    let expected = "Deployment/shop-web .spec.replicas is left to scaler";
    assert_eq!(finished.stderr.matches(expected).count(), 1, "{}", finished.output());
}

#[test]
fn new_kind_is_served_before_its_objects_are_applied() {
    let real = objects("kind");
    let definition = Definition(&real);
    let _ =
        real.kubectl(&format!("delete customresourcedefinition {DEFINITION} --ignore-not-found"));
    let text = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: { name: NAME }\nspec:\n  group: apply-test.todohost.example\n  scope: Namespaced\n  names: { kind: Gadget, plural: gadgets, singular: gadget, listKind: GadgetList }\n  versions:\n    - name: v1\n      served: true\n      storage: true\n      schema: { openAPIV3Schema: { type: object, properties: { spec: { type: object, properties: { size: { type: string } } } } } }\n";
    real.project.write("chart/crds/gadget.yaml", &text.replace("NAME", DEFINITION));
    real.project.write(
        "chart/templates/gadget.yaml",
        "apiVersion: apply-test.todohost.example/v1\nkind: Gadget\nmetadata: { name: one }\nspec: { size: small }\n",
    );
    let target = real.target().to_owned();
    let deploy = || run(&real, &["deploy", "--target", &target]);
    let _ = deploy().expect_code(0);
    assert_eq!(real.object("gadgets.apply-test.todohost.example", "one")["spec"]["size"], "small");
    let finished = deploy().expect_code(0);
    assert!(finished.stderr.contains("revision 1 stays"), "{}", finished.output());
    real.project.replace(
        "chart/crds/gadget.yaml",
        "size: { type: string }",
        "size: { type: integer }",
    );
    let finished = deploy().expect_code(10);
    assert!(
        finished.stderr.contains(".spec.size turns from string to integer"),
        "{}",
        finished.output()
    );
    drop(definition);
}

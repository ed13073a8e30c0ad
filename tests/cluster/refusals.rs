//! Failures on a real cluster: the cause is printed, and no object is left.

use std::time::{Duration, Instant};

use todohost_testkit::Host;
use todohost_tests::real::Real;

fn deploy(real: &Real) -> Host {
    real.deploy()
        .args(["--set", "secrets.databaseUrl=postgresql://shop:pass-of-test@db.example/shop"])
}

#[test]
fn missing_image_is_reported() {
    let real = Real::shop("no-image");
    real.project.replace(
        "chart/templates/deployment.yaml",
        "      containers:\n",
        "      containers:\n        - name: sidecar\n          image: no-such-image:1\n          imagePullPolicy: Never\n",
    );
    let finished = deploy(&real).run().expect_code(11);
    for part in ["shop-web", "no-such-image:1", "help:"] {
        assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.output());
    }
    real.assert_nothing_left();
}

#[test]
fn exiting_container_is_reported() {
    let real = Real::shop("exits");
    real.project.write(
        "web/server.py",
        "import sys\nprint('no database at db.example', flush=True)\nsys.exit(3)\n",
    );
    let finished = deploy(&real).run().expect_code(11);
    for part in ["shop-web", "no database at db.example", "help:"] {
        assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.output());
    }
    real.assert_nothing_left();
}

/// An admission policy for one namespace, deleted when dropped.
struct Policy<'a>(&'a Real);

impl Policy<'_> {
    fn name(&self) -> String {
        format!("owners-{}", self.0.namespace())
    }

    fn put(&self) {
        let (name, namespace) = (self.name(), self.0.namespace());
        let text = format!(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {{ name: {name} }}\nspec:\n  matchConstraints:\n    resourceRules:\n      - {{ apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments] }}\n  validations:\n    - expression: \"has(object.metadata.labels) && 'owner' in object.metadata.labels\"\n      message: every Deployment needs the label owner\n---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {{ name: {name} }}\nspec:\n  policyName: {name}\n  validationActions: [Deny]\n  matchResources:\n    namespaceSelector: {{ matchLabels: {{ kubernetes.io/metadata.name: {namespace} }} }}\n"
        );
        self.0.project.write("policy.yaml", &text);
        let _ = self.0.kubectl(&format!("create namespace {namespace}"));
        let path = self.0.project.root().join("policy.yaml");
        let _ = self.0.kubectl(&format!("apply -f {}", path.display()));
    }

    /// Waits until the API server enforces the policy.
    fn wait_until_in_force(&self) {
        let probe = "create deployment probe --image=none --dry-run=server -o name";
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.0.kubectl(probe).is_empty() {
            assert!(Instant::now() < deadline, "the policy {} is never in force", self.name());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Policy<'_> {
    fn drop(&mut self) {
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            let _ = self.0.kubectl(&format!("delete {kind} {} --ignore-not-found", self.name()));
        }
    }
}

#[test]
fn denial_by_an_admission_policy_is_reported() {
    let real = Real::shop("denied");
    let policy = Policy(&real);
    policy.put();
    policy.wait_until_in_force();
    let finished = deploy(&real).run().expect_code(10);
    for part in ["every Deployment needs the label owner", "the policy's owner", "owners-"] {
        assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.output());
    }
    assert_eq!(real.revisions(), Vec::<String>::new());
    assert!(real.object("service", "shop-web").is_null(), "{}", finished.output());
}

#[test]
fn deploy_into_a_terminating_namespace_is_refused() {
    let real = Real::shop("terminating");
    let _ = deploy(&real).run().expect_code(0);
    // A finalizer keeps the namespace in the state Terminating.
    let finalizer = "patch service shop-web --type=merge -p {\"metadata\":{\"finalizers\":[\"example.org/wait\"]}}";
    let _ = real.kubectl(finalizer);
    let _ = real.kubectl(&format!("delete namespace {} --wait=false", real.namespace()));
    let finished = deploy(&real).args(["--set", "greeting=bye"]).run();
    let _ =
        real.kubectl("patch service shop-web --type=merge -p {\"metadata\":{\"finalizers\":null}}");
    assert_eq!(finished.code(), Some(10), "{}", finished.output());
    let expected = format!("namespace {} is being deleted", real.namespace());
    assert!(finished.stderr.contains(&expected), "{}", finished.output());
}

#[test]
fn image_removed_from_the_node_before_a_rollback_is_reported() {
    let real = Real::shop("collected");
    let _ = deploy(&real).run().expect_code(0);
    let container = "/spec/template/spec/containers/0/image";
    let image = real.object("deployment", "shop-web").pointer(container).unwrap().clone();
    let image = image.as_str().unwrap().to_owned();
    real.project.append("web/server.py", "\n# changed\n");
    let _ = deploy(&real).run().expect_code(0);
    let before = real.object("deployment", "shop-web");
    real.remove_image(&image);
    let finished = real.host().args(["rollback", "--target", real.target()]).run().expect_code(9);
    for part in [image.as_str(), "it was removed since revision 1"] {
        assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.output());
    }
    assert_eq!(real.revisions(), ["1 superseded", "2 deployed"]);
    assert_eq!(real.object("deployment", "shop-web")["spec"], before["spec"]);
}

#[test]
fn an_image_that_no_revision_needs_any_more() {
    let real = Real::shop("forgotten");
    let _ = deploy(&real).run().expect_code(0);
    let container = "/spec/template/spec/containers/0/image";
    let image = || {
        let deployment = real.object("deployment", "shop-web");
        deployment.pointer(container).unwrap().as_str().unwrap().to_owned()
    };
    let first = image();
    real.project.append("web/server.py", "\n# changed\n");
    for number in 2..=10 {
        let _ =
            deploy(&real).args(["--set", &format!("greeting=hello-{number}")]).run().expect_code(0);
        assert!(real.has_image(&first), "revision 1 can still be rolled back to");
    }
    let finished = deploy(&real).args(["--set", "greeting=bye"]).run().expect_code(0);
    let expected = format!("pruned images that no revision needs: {first}");
    assert!(finished.stderr.contains(&expected), "{}", finished.output());
    assert!(!real.has_image(&first));
    assert!(real.has_image(&image()));
}

#[test]
fn build_failure_is_reported() {
    let real = Real::shop("no-build");
    real.project.append("web/Dockerfile", "RUN echo about to fail && exit 4\n");
    let finished = deploy(&real).run().expect_code(7);
    for part in ["RUN echo about to fail", "web/Dockerfile line 4", "help:"] {
        assert!(finished.stderr.contains(part), "no {part} in:\n{}", finished.output());
    }
    real.assert_nothing_left();
}

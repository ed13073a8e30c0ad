//! A real admission webhook in a pod of the cluster: denials in the dry run and after it, and an outage.

use std::time::{Duration, Instant};

use serde_json::json;
use todohost_tests::real::Real;

/// The webhook's server, which decides by the value of `GREETING` in the object.
const SERVER: &str = r#"import http.server, json, ssl
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))["request"]
        [container] = request["object"]["spec"]["template"]["spec"]["containers"]
        greeting = next(one["value"] for one in container["env"] if one["name"] == "GREETING")
        denied = greeting == "rude" or greeting == "rude-at-last" and not request.get("dryRun")
        response = {"uid": request["uid"], "allowed": not denied}
        if denied:
            response["status"] = {"code": 406, "message": "no parcel may be " + greeting}
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        body = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/warden/certificate.pem", "/warden/key.pem")
server = http.server.ThreadingHTTPServer(("", 8443), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

/// A webhook for the Deployments of the project's namespace, in its own namespace. Deleted when dropped.
struct Warden<'a> {
    real: &'a Real,
    namespace: String,
}

impl<'a> Warden<'a> {
    fn over(real: &'a Real) -> Self {
        let warden = Self { real, namespace: format!("{}-warden", real.namespace()) };
        warden.take_away("--wait=true");
        let host = format!("warden.{}.svc", warden.namespace);
        let issued = rcgen::generate_simple_self_signed([host]).unwrap();
        let (certificate, key) = (issued.cert.pem(), issued.signing_key.serialize_pem());
        let labels = json!({ "app": "warden" });
        let namespaced = json!({ "name": "warden", "namespace": warden.namespace });
        let files = json!({ "server.py": SERVER, "certificate.pem": certificate, "key.pem": key });
        warden.put(&json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": warden.namespace },
        }));
        warden.put(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": namespaced, "stringData": files,
        }));
        warden.put(&json!({
            "apiVersion": "v1", "kind": "Service", "metadata": namespaced,
            "spec": { "selector": labels, "ports": [{ "port": 443, "targetPort": 8443 }] },
        }));
        warden.put(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": namespaced,
            "spec": { "selector": { "matchLabels": labels }, "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{
                        "name": "warden",
                        "image": "python:3.13-slim-bookworm",
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["python3", "/warden/server.py"],
                        "readinessProbe": { "tcpSocket": { "port": 8443 }, "periodSeconds": 1 },
                        "volumeMounts": [{ "name": "files", "mountPath": "/warden" }],
                    }],
                    "volumes": [{ "name": "files", "secret": { "secretName": "warden" } }],
                },
            } },
        }));
        warden
            .wait_for("rollout status deployment/warden --timeout=60s", "successfully rolled out");
        let authority = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, certificate);
        let service = json!({ "name": "warden", "namespace": warden.namespace });
        warden.put(&json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": { "name": warden.namespace },
            "webhooks": [{
                "name": "warden.example.org",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "timeoutSeconds": 5,
                "clientConfig": { "service": service, "caBundle": authority },
                "namespaceSelector": {
                    "matchLabels": { "kubernetes.io/metadata.name": real.namespace() },
                },
                "rules": [{
                    "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"],
                    "operations": ["CREATE", "UPDATE"],
                }],
            }],
        }));
        warden
    }

    fn put(&self, object: &serde_json::Value) {
        let path = self.real.project.folder().join("warden.json");
        std::fs::write(&path, object.to_string()).unwrap();
        let kind = object["kind"].as_str().unwrap().to_lowercase();
        self.wait_for(&format!("apply -o name -f {}", path.display()), &kind);
    }

    fn wait_for(&self, line: &str, wanted: &str) {
        let said = self.real.kubectl(&format!("--namespace {} {line}", self.namespace));
        assert!(said.contains(wanted), "{line}: {said}");
    }

    /// Whether the API server with this webhook accepts a Deployment with this greeting.
    fn lets_pass(&self, greeting: &str) -> bool {
        let container = json!({
            "name": "probe", "image": "none", "env": [{ "name": "GREETING", "value": greeting }],
        });
        let labels = json!({ "app": "probe" });
        let probe = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "probe" },
            "spec": { "selector": { "matchLabels": labels }, "template": {
                "metadata": { "labels": labels }, "spec": { "containers": [container] },
            } },
        });
        let path = self.real.project.folder().join("probe.json");
        std::fs::write(&path, probe.to_string()).unwrap();
        let line = format!("create --dry-run=server -o name -f {}", path.display());
        !self.real.kubectl(&line).is_empty()
    }

    /// Waits until the API server calls the webhook, and until polite greetings are accepted or not, as `polite`
    /// demands.
    fn wait_until(&self, polite: bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.lets_pass("rude") || self.lets_pass("hello") != polite {
            assert!(Instant::now() < deadline, "{} is never called", self.namespace);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn take_away(&self, wait: &str) {
        let Self { real, namespace } = self;
        let kind = "validatingwebhookconfiguration";
        let _ = real.kubectl(&format!("delete {kind} {namespace} --ignore-not-found"));
        let _ = real.kubectl(&format!("delete namespace {namespace} --ignore-not-found {wait}"));
    }
}

impl Drop for Warden<'_> {
    fn drop(&mut self) {
        self.take_away("--wait=false");
    }
}

/// Asserts that revision 1 is the current one, untouched or restored.
fn assert_as_before(real: &Real, output: &str) {
    let deployment = real.object("deployment", "parcel");
    assert_eq!(deployment["status"]["availableReplicas"], 1, "{output}");
    let greeting = "/spec/template/spec/containers/0/env/0/value";
    assert_eq!(deployment.pointer(greeting).unwrap(), "hello", "{output}");
    assert_eq!(
        real.object("configmap", "parcel-settings")["data"]["greeting"],
        "hello",
        "{output}"
    );
    assert_eq!(real.kubectl("get leases -o name"), "", "{output}");
    let in_force = real.revisions().iter().filter(|one| one.ends_with(" deployed")).count();
    assert_eq!(in_force, 1, "{:?}\n{output}", real.revisions());
}

#[test]
fn webhook_denials_and_outage_are_reported_and_rolled_back() {
    let real = Real::parcel("webhook");
    let _ = real.deploy_parcel(&[]).run().expect_code(0);
    let warden = Warden::over(&real);
    warden.wait_until(true);

    // A denial in the dry run: nothing is applied, and no revision is created.
    let refused = real.deploy_parcel(&["greeting=rude"]).run().expect_code(10);
    for part in ["warden.example.org", "no parcel may be rude", "help:"] {
        assert!(refused.stderr.contains(part), "no {part} in:\n{}", refused.output());
    }
    assert_eq!(real.revisions(), ["1 deployed"], "{}", refused.output());
    assert_as_before(&real, &refused.output());

    // A denial after the dry run: the objects applied so far are rolled back.
    let refused = real.deploy_parcel(&["greeting=rude-at-last"]).run().expect_code(10);
    for part in ["warden.example.org", "no parcel may be rude-at-last", "rolled back"] {
        assert!(refused.stderr.contains(part), "no {part} in:\n{}", refused.output());
    }
    assert_as_before(&real, &refused.output());

    // Without the webhook's pod the API server rejects every write.
    warden.wait_for("scale deployment/warden --replicas=0", "scaled");
    warden.wait_until(false);
    let refused = real.deploy_parcel(&["greeting=bye"]).run().expect_code(5);
    for part in [
        "the cluster's webhook warden.example.org did not answer",
        "help: check that the webhook's Service",
    ] {
        assert!(refused.stderr.contains(part), "no {part} in:\n{}", refused.output());
    }
    assert_as_before(&real, &refused.output());

    warden.wait_for("scale deployment/warden --replicas=1", "scaled");
    warden.wait_until(true);
    let done = real.deploy_parcel(&["greeting=bye"]).run().expect_code(0);
    let settings = real.object("configmap", "parcel-settings");
    assert_eq!(settings["data"]["greeting"], "bye", "{}", done.output());
}

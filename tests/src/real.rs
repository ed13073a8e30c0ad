//! A real cluster, engine and database, named by the environment.
//!
//! Owns the access of tests: the binary under test with the user's environment but its own home, and `kubectl` and
//! `docker`. A missing variable never skips a test; the test fails and names the variable.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use todohost_testkit::{Host, Project};

/// The required variables and their purpose.
const REQUIRED: [(&str, &str); 3] = [
    ("TODOHOST_TEST_TARGET", "the target plugin to test with: docker-desktop, kind or minikube"),
    ("KUBECONFIG", "a kubeconfig with that target's context"),
    ("DATABASE_URL", "a PostgreSQL that pods of that cluster can reach"),
];

/// The required variables of tests with several targets.
const REQUIRED_OF_SEVERAL: [(&str, &str); 2] = [
    ("TODOHOST_TEST_TARGETS", "the targets to test with, e.g. `docker-desktop kind`"),
    ("KUBECONFIG", "a kubeconfig with their contexts"),
];

/// The user's variables that are passed on to the binary under test.
const PASSED_ON: [&str; 9] = [
    "PATH",
    "KUBECONFIG",
    "MINIKUBE_HOME",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "TMPDIR",
];

/// The resources of a test: a project, and a namespace that is deleted when dropped.
#[derive(Debug)]
pub struct Real {
    /// The deployed project.
    pub project: Arc<Project>,
    target: String,
    context: String,
    namespace: String,
    /// The test's kubeconfig; `None` for the user's.
    kubeconfig: Option<PathBuf>,
}

impl Real {
    /// The project in a namespace of the cluster that the environment names.
    ///
    /// # Panics
    /// If a required variable is missing.
    pub fn new(project: Project, namespace: &str) -> Self {
        require(&REQUIRED);
        let target = super::variable("TODOHOST_TEST_TARGET").unwrap_or_default();
        let context = context_of(&target);
        Self::on(Arc::new(project), &target, &context, namespace)
    }

    /// A project in a namespace of a target's cluster.
    pub fn on(project: Arc<Project>, target: &str, context: &str, namespace: &str) -> Self {
        let real = Self::with(project, target, context, namespace, None);
        // Delete the namespace of a killed run.
        real.delete_namespace("--wait=true");
        real
    }

    /// A project in a namespace of a cluster that the test creates, with its own kubeconfig.
    pub fn apart(project: Project, target: &str, context: &str, namespace: &str) -> Self {
        let kubeconfig = Some(project.kubeconfig());
        Self::with(Arc::new(project), target, context, namespace, kubeconfig)
    }

    fn with(
        project: Arc<Project>,
        target: &str,
        context: &str,
        namespace: &str,
        kubeconfig: Option<PathBuf>,
    ) -> Self {
        share_compiled(&project.home());
        let (target, context) = (target.to_owned(), context.to_owned());
        Self { project, target, context, namespace: namespace.to_owned(), kubeconfig }
    }

    /// The app `shop`, in a namespace called `shop-NAME`.
    pub fn shop(name: &str) -> Self {
        Self::new(shop_project(name), &shop_namespace(name))
    }

    /// The app `shop` on several targets, with one project and one namespace name.
    pub fn shop_on(targets: &[String], name: &str) -> Vec<Self> {
        let project = Arc::new(shop_project(name));
        let on = |target: &String| {
            Self::on(Arc::clone(&project), target, &context_of(target), &shop_namespace(name))
        };
        targets.iter().map(on).collect()
    }

    /// Name of the target.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Kubeconfig context of the target's cluster.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// The app's namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The binary under test in the project.
    pub fn host(&self) -> Host {
        let mut host = Host::new(&super::binary(), &self.project.root(), &self.project.home())
            .variable("TODOHOST_PLUGINS", super::plugins())
            .patience(Duration::from_mins(5));
        for name in PASSED_ON {
            if let Some(value) = super::variable(name) {
                host = host.variable(name, value);
            }
        }
        match &self.kubeconfig {
            Some(file) => host.variable("KUBECONFIG", file),
            None => host,
        }
    }

    /// `deploy` with this target, without secrets.
    pub fn deploy(&self) -> Host {
        self.host().args(["deploy", "--target", &self.target])
    }

    /// The same command of another user on another machine, which shares only the project and the cluster.
    ///
    /// # Panics
    /// If the folder cannot be created.
    #[must_use]
    pub fn elsewhere(&self, host: Host) -> Host {
        let home = self.project.folder().join("elsewhere");
        share_compiled(&home);
        host.variable("HOME", &home)
            .variable("XDG_CONFIG_HOME", home.join(".config"))
            .variable("XDG_CACHE_HOME", home.join(".cache"))
            .variable("USER", "bob")
    }

    /// Standard output of a `kubectl` command; empty if it fails.
    pub fn kubectl(&self, line: &str) -> String {
        let output = Command::new("kubectl")
            .envs(self.kubeconfig.iter().map(|file| ("KUBECONFIG", file)))
            .args(["--context", &self.context, "--namespace", &self.namespace])
            .args(line.split_whitespace())
            .output()
            .expect("kubectl is in PATH");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// An object, or null if it does not exist.
    pub fn object(&self, kind: &str, name: &str) -> Value {
        let text = self.kubectl(&format!("get {kind} {name} --ignore-not-found -o json"));
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Sorted names of the pods that are not terminating.
    pub fn pods(&self, part: &str) -> Vec<String> {
        let list: Value =
            serde_json::from_str(&self.kubectl("get pods -o json")).unwrap_or_default();
        let mut names: Vec<String> = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned))
            .filter(|name| name.contains(part))
            .collect();
        names.sort();
        names
    }

    /// Numbers and states of the release's revisions, as `1 deployed`.
    pub fn revisions(&self) -> Vec<String> {
        let list = self.kubectl("get secrets -l owner=helm -o json");
        let list: Value = serde_json::from_str(&list).unwrap_or_default();
        let label = |secret: &Value, name: &str| {
            secret["metadata"]["labels"][name].as_str().unwrap_or_default().to_owned()
        };
        let mut revisions: Vec<String> = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|secret| format!("{} {}", label(secret, "version"), label(secret, "status")))
            .collect();
        revisions.sort();
        revisions
    }

    /// Asserts that the namespace is deleted, with everything in it, within 30 s.
    ///
    /// # Panics
    /// If it still exists.
    pub fn assert_nothing_left(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let namespace = self.object("namespace", &self.namespace);
            if namespace.is_null() {
                return;
            }
            let left = self.kubectl("get all,secrets,configmaps --ignore-not-found -o name");
            assert!(
                Instant::now() < deadline,
                "the namespace {} stays: {namespace:#}\nwith:\n{left}",
                self.namespace
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Whether the engine has an image.
    pub fn has_image(&self, reference: &str) -> bool {
        let output = Command::new("docker").args(["image", "inspect", reference]).output();
        output.expect("docker is in PATH").status.success()
    }

    /// Removes an image from the engine, like its garbage collection.
    ///
    /// # Panics
    /// If it still exists.
    pub fn remove_image(&self, reference: &str) {
        let output = Command::new("docker").args(["image", "rm", "--force", reference]).output();
        let output = output.expect("docker is in PATH");
        assert!(!self.has_image(reference), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn delete_namespace(&self, wait: &str) {
        self.kubectl(&format!("delete namespace {} --ignore-not-found {wait}", self.namespace));
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        self.delete_namespace("--wait=false");
    }
}

/// The targets of `TODOHOST_TEST_TARGETS`.
///
/// # Panics
/// If the variable is missing.
pub fn named_targets() -> Vec<String> {
    require(&REQUIRED_OF_SEVERAL);
    let named = super::variable("TODOHOST_TEST_TARGETS").unwrap_or_default();
    named.split_whitespace().map(str::to_owned).collect()
}

/// The default context of a target plugin.
fn context_of(target: &str) -> String {
    if target == "kind" { "kind-todohost".to_owned() } else { target.to_owned() }
}

fn require(variables: &[(&str, &str)]) {
    let missing: Vec<String> = variables
        .iter()
        .filter(|(name, _)| super::variable(name).is_none())
        .map(|(name, meaning)| format!("{name} ({meaning})"))
        .collect();
    assert!(
        missing.is_empty(),
        "these tests need a real cluster; set {}. On a machine without one, \
         `tests/machine/machine up` makes it and `eval \"$(tests/machine/machine env)\"` names it",
        missing.join(", ")
    );
}

fn shop_namespace(name: &str) -> String {
    format!("shop-{name}")
}

/// The app `shop` as a small Python server.
pub fn shop_project(name: &str) -> Project {
    let namespace = shop_namespace(name);
    let project = Project::shop();
    project.replace(
        "todohost.toml",
        "namespace = \"shop\"",
        &format!("namespace = \"{namespace}\""),
    );
    project.replace("todohost.toml", "[images.shop-web]", &format!("[images.{namespace}]"));
    project.write("web/Dockerfile", SHOP_DOCKERFILE);
    project.write("web/server.py", SHOP_SERVER);
    std::fs::remove_file(project.root().join("web/server")).expect("the file is there");
    project.replace(
        "chart/templates/deployment.yaml",
        "path: /health\n              port: http\n",
        "path: /health\n              port: http\n            periodSeconds: 1\n",
    );
    project
}

/// Links the cache of compiled components, which all homes share because compiling takes seconds.
fn share_compiled(home: &Path) {
    let cache = home.join(".cache").join("todohost");
    std::fs::create_dir_all(&cache).expect("a folder can be made");
    let compiled = cache.join("compiled");
    if !compiled.exists() {
        #[cfg(unix)]
        std::os::unix::fs::symlink(super::compiled_cache(), compiled).expect("a link can be made");
    }
}

const SHOP_DOCKERFILE: &str = "FROM python:3.13-slim-bookworm\nCOPY server.py /server.py\nCMD [\"python3\", \"/server.py\"]\n";

/// Answers every path, with the names of its secrets but not their values.
const SHOP_SERVER: &str = r#"import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (os.environ["GREETING"] + "\n").encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
print("serving", file=sys.stderr, flush=True)
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"#;

/// A copy of the Todo app of this workspace, without build output.
pub fn todo_project() -> Project {
    let project = Project::empty();
    let workspace = super::workspace();
    for folder in ["backend", "frontend", "helm"] {
        copy(&workspace.join(folder), &project.root().join(folder));
    }
    let file = "todohost.toml";
    std::fs::copy(workspace.join(file), project.root().join(file)).expect("the file is there");
    project
}

/// A copy of a project from the unit tests of the gate.
///
/// # Panics
/// If no project has this name.
pub fn gate_project(name: &str) -> Project {
    let project = Project::empty();
    let fixtures = super::workspace().join("plugins/checks/constitution/tests/fixtures");
    copy(&fixtures.join(name), &project.root());
    project
}

fn copy(from: &Path, to: &Path) {
    const LEFT_BEHIND: [&str; 8] = [
        "node_modules",
        ".next",
        ".venv",
        "__pycache__",
        ".pytest_cache",
        ".ruff_cache",
        ".mypy_cache",
        "coverage",
    ];
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("the folder is there").flatten() {
        let (source, place): (PathBuf, PathBuf) = (entry.path(), to.join(entry.file_name()));
        if LEFT_BEHIND.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if source.is_dir() {
            copy(&source, &place);
        } else {
            std::fs::copy(source, place).expect("a file can be copied");
        }
    }
}

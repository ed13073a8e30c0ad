//! The world of these tests: the project `shop`, a scripted cluster with Docker Desktop's context name, and a scripted
//! `docker`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use todohost_testkit::{FakeCluster, FakeTools, Finished, Host, Project, Rule, filter, leak};
use todohost_tests as under_test;

/// The required secret. No output must contain it, plain or encoded.
pub const DATABASE: &str = "postgresql://shop:canary-7f3a91c2@database.example:5432/shop";
/// The part of `DATABASE` that the tests search for.
pub const CANARY: &str = "canary-7f3a91c2";
/// The optional secret.
pub const API_KEY: &str = "sk-canary+55d0/e1c8";

const ENGINE: &str = r#"{"Client":{"Version":"28.0.4","Os":"linux","Arch":"amd64"},"Server":{"Platform":{"Name":"Docker Desktop"},"Version":"28.0.4","Os":"linux","Arch":"amd64"}}"#;
const CLIENT: &str = r#"{"Client":{"Version":"28.0.4","Os":"linux","Arch":"amd64"},"Server":null}"#;
const REFUSED: &str = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n";
/// Output of `df` in a node.
const DISK: &str = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n/dev/vda1         61202244 20201908  37858908      35% /var\n";
/// Output of `docker image inspect`.
const IMAGE: &str = r#"[{"Id":"sha256:5d0e2f1b7a3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6","RepoTags":["{2}"],"Os":"linux","Architecture":"amd64","Size":1048576}]"#;
/// Output of `docker image inspect` for a build with two base images that exist.
const TWO_IMAGES: &str = r#"[{"Id":"sha256:5d0e","RepoTags":["{2}"],"Os":"linux","Architecture":"amd64","Size":1},{"Id":"sha256:6e1f","RepoTags":["{3}"],"Os":"linux","Architecture":"amd64","Size":1}]"#;

/// A project, a cluster and tools.
pub struct World {
    pub project: Project,
    pub cluster: FakeCluster,
    pub tools: FakeTools,
}

impl World {
    /// A healthy world.
    pub fn new() -> Self {
        Self::with(Project::shop(), "docker-desktop", &[])
    }

    /// A healthy world with the Todo app of this repository instead of `shop`.
    pub fn todo() -> Self {
        Self::with(under_test::real::todo_project(), "docker-desktop", &[])
    }

    /// A healthy world with one of the projects that the unit tests of the gate judge.
    pub fn gate(project: &str) -> Self {
        Self::with(under_test::real::gate_project(project), "docker-desktop", &[])
    }

    /// A world with a kind cluster of one node.
    pub fn kind() -> Self {
        Self::with(
            Project::shop(),
            "kind-todohost",
            &[
                Rule::on("ps **").prints("todohost-control-plane\trunning\tcontrol-plane\n"),
                Rule::on("exec todohost-control-plane ctr ** list --quiet"),
                Rule::on("exec todohost-control-plane kubectl **").prints("ok"),
                Rule::on("save **").requires("save-holds").holds(),
                Rule::on("save **"),
                Rule::on("exec --interactive todohost-control-plane ctr ** import **"),
            ],
        )
    }

    /// A world with a cluster behind this context and extra rules for `docker`.
    pub fn with(project: Project, context: &str, rules: &[Rule]) -> Self {
        let cluster = FakeCluster::builder().node("docker-desktop").start();
        cluster.write_kubeconfig(&project.kubeconfig(), context);
        let tools = FakeTools::new(Path::new(env!("CARGO_BIN_EXE_fake-tool")));
        tools.program("docker", &[rules, &docker()].concat());
        share_compiled(&project.home().join(".cache"));
        Self { project, cluster, tools }
    }

    /// The binary in this world, without a command.
    pub fn host(&self) -> Host {
        Host::new(&under_test::binary(), &self.project.root(), &self.project.home())
            .variable("TODOHOST_PLUGINS", under_test::plugins())
            .variable("PATH", self.tools.path())
            .variable("NO_COLOR", "1")
            // The first runs compile the plugins, several of them at a time.
            .patience(Duration::from_mins(3))
    }

    /// Runs a command line, split at blanks.
    pub fn run(&self, line: &str) -> Finished {
        self.host().args(line.split_whitespace()).run()
    }

    /// A deploy with all secrets.
    pub fn deploy(&self) -> Host {
        self.host()
            .args(["deploy", "--target", "docker-desktop"])
            .args(["--set", &format!("secrets.databaseUrl={DATABASE}")])
            .args(["--set", &format!("secrets.apiKey={API_KEY}")])
    }

    /// The same command of another user on another machine, which shares only the project and the cluster.
    pub fn elsewhere(&self, host: Host) -> Host {
        let home = self.project.folder().join("elsewhere");
        let cache = home.join(".cache");
        if !cache.exists() {
            share_compiled(&cache);
        }
        host.variable("HOME", &home)
            .variable("XDG_CONFIG_HOME", home.join(".config"))
            .variable("XDG_CACHE_HOME", cache)
            .variable("USER", "bob")
    }

    /// Numbers and states of the release's revisions, as `1 deployed`.
    pub fn revisions(&self) -> Vec<String> {
        let secrets = self.cluster.list("secrets", "shop");
        let records = secrets.iter().filter(|secret| secret["type"] == "helm.sh/release.v1");
        let label = |record: &Value, name: &str| {
            record["metadata"]["labels"][name].as_str().unwrap_or_default().to_owned()
        };
        let mut states: Vec<String> = records
            .map(|record| format!("{} {}", label(record, "version"), label(record, "status")))
            .collect();
        states.sort();
        states
    }

    /// Adds an autoscaler for the Deployment, as another client.
    pub fn autoscale(&self) {
        self.cluster.write_as(
            "kubectl",
            &json!({ "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
                "metadata": { "name": "web", "namespace": "shop" },
                "spec": { "maxReplicas": 5, "scaleTargetRef": {
                    "apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-web" } } }),
        );
    }

    /// Adds a check of `tests/plugins` to the project; `options` is the rest of its table.
    pub fn add_check(&self, name: &str, options: &str) {
        let file = self.add_component(name);
        let table = format!("\n[checks.labels]\nplugin = \"{file}\"\n{options}");
        self.project.append("todohost.toml", &table);
    }

    /// Copies a component of `tests/plugins` into the project; returns its path there.
    pub fn add_component(&self, name: &str) -> String {
        std::fs::create_dir_all(self.project.root().join("checks")).unwrap();
        let file = format!("checks/{name}.wasm");
        std::fs::copy(outside_plugin(name), self.project.root().join(&file)).unwrap();
        file
    }

    /// Assigns steps, e.g. `render`, to a component of `tests/plugins`, with consent.
    pub fn give_steps_to(&self, name: &str, steps: &[&str]) {
        let file = self.add_component(name);
        let steps = steps.iter().map(|step| format!("{step} = \"{file}\"\n"));
        let table = format!("\n[plugins]\n{}", steps.collect::<String>());
        self.project.append("todohost.toml", &table);
        let _ = self.run(&format!("plugin allow {file}")).expect_code(0);
    }

    /// Adds a check of `tests/plugins` with consent to its grants.
    pub fn add_allowed_check(&self, name: &str, options: &str) {
        self.add_check(name, options);
        let _ = self.run(&format!("plugin allow checks/{name}.wasm")).expect_code(0);
    }

    /// Asserts that the cluster has no object of the app, not even its namespace.
    pub fn assert_untouched(&self) {
        assert_eq!(self.cluster.names_in("shop"), Vec::<String>::new());
        assert_eq!(self.cluster.get("namespaces", "", "shop"), None);
    }

    /// Asserts that no secret is in the output, in a file of home or project, in a tool's arguments, or in the cluster
    /// outside of Secret objects.
    pub fn assert_no_leak(&self, finished: &Finished) {
        for secret in [CANARY, API_KEY] {
            let printed = leak::find(finished.output().as_bytes(), secret);
            assert_eq!(printed, None, "{secret} was printed:\n{}", finished.output());
            for folder in [self.project.folder(), self.tools.path()] {
                assert_eq!(leak::find_in_files(folder, secret), [], "{secret} was kept");
            }
            for (key, object) in self.cluster.objects() {
                let way = leak::find(object.to_string().as_bytes(), secret);
                let may_have = key.resource == "secrets";
                assert!(may_have || way.is_none(), "{secret} is in {key:?} as {way:?}");
            }
            for request in self.cluster.requests() {
                let whole = format!("{}?{}\n", request.path, request.query).into_bytes();
                let way = leak::find(&[whole, request.body].concat(), secret);
                let may_have = request.path.contains("/secrets");
                assert!(may_have || way.is_none(), "{secret} is in {} as {way:?}", request.path);
            }
        }
    }

    /// Settings of snapshots that replace everything that differs between runs.
    pub fn settings(&self) -> insta::Settings {
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(true);
        settings.set_omit_expression(true);
        let folders = filter::with_folders(&[
            (&self.project.root(), "[project]"),
            (&self.project.home(), "[home]"),
            (self.tools.path(), "[tools]"),
            (&under_test::plugins(), "[plugins]"),
        ]);
        // Names of pods, and the number of restarts at the time of the query.
        settings.add_filter(r"\bshop-web-[0-9a-f]{10}-[a-z0-9]{5}\b", "[pod]");
        settings.add_filter(r"exited \d+ times", "exited [n] times");
        // The BackOff event is not always visible together with the container's exit.
        settings.add_filter(r"  cause: BackOff: [^\n]*\n", "");
        for (pattern, word) in folders {
            settings.add_filter(&pattern, word);
        }
        settings
    }
}

/// Whether a process runs and is not a zombie.
#[cfg(unix)]
pub fn runs(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/status"))
        .is_ok_and(|status| !status.contains("State:\tZ") && !status.contains("State:\tX"))
}

/// A running engine with buildx.
pub fn docker() -> Vec<Rule> {
    vec![
        Rule::on("**").requires("engine-stopped").fails(1, REFUSED).prints(CLIENT),
        Rule::on("version --format *").prints(ENGINE),
        Rule::on("info --format *").prints("8323289088 8\n"),
        Rule::on("exec * df -P -k /var").prints(DISK),
        // No container publishes a port of this machine.
        Rule::on("ps --filter * --format *"),
        Rule::on("buildx version").prints("github.com/docker/buildx v0.22.0 18ccba0\n"),
        // The builder inspects its image first; later calls come from the target.
        Rule::on("image inspect *").requires("deliver-holds").requires("described").holds(),
        Rule::on("image inspect *").requires("{2}").prints(IMAGE).sets("described"),
        Rule::on("image inspect * *").prints(TWO_IMAGES),
        Rule::on("image inspect *").prints("[]\n").fails(1, "Error: No such image: {2}\n"),
        Rule::on("image rm *").requires("{2}").prints("Untagged: {2}\n").sets("!{2}"),
        Rule::on("pull -- *").requires("pull-holds").prints("2f1b: Downloading\n").holds(),
        Rule::on("pull -- *").prints("2f1b: Downloading\n").sets("{2}"),
        Rule::on("buildx build **").requires("build-fails").fails(
            1,
            "#5 [2/2] COPY server /server\nERROR: failed to solve: \"/server\": not found\n",
        ),
        Rule::on("buildx build **").requires("build-holds").holds(),
        Rule::on("buildx build **").sets_each_after("--tag"),
    ]
}

/// A component of `tests/plugins`, built outside of the workspace like a third-party plugin.
pub fn outside_plugin(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let target = todohost_tests::target_folder().join("outside");
        let manifest = todohost_tests::workspace().join("tests/plugins/Cargo.toml");
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "--target", "wasm32-wasip2"])
            .arg("--manifest-path")
            .arg(manifest)
            .arg("--target-dir")
            .arg(&target)
            .status()
            .unwrap();
        assert!(status.success(), "the plugins of tests/plugins do not build");
        target.join("wasm32-wasip2").join("release")
    });
    folder.join(format!("{}.wasm", name.replace('-', "_")))
}

/// The exit code and the printed error.
pub fn refusal(finished: &Finished) -> String {
    let error: Vec<&str> =
        finished.stderr.lines().skip_while(|line| !line.starts_with("error:")).collect();
    assert!(!error.is_empty(), "no error in:\n{}", finished.output());
    format!("exit {}\n{}\n", finished.code().unwrap_or(-1), error.join("\n"))
}

/// Links the cache of compiled components, which all worlds share because compiling takes seconds.
pub fn share_compiled(cache: &Path) {
    let cache = cache.join("todohost");
    std::fs::create_dir_all(&cache).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(under_test::compiled_cache(), cache.join("compiled")).unwrap();
}

/// Snapshots the refusal of a finished run; the run must not have printed a secret.
macro_rules! assert_refusal {
    ($world:expr, $finished:expr) => {{
        let (world, finished) = (&$world, &$finished);
        world.assert_no_leak(finished);
        world.settings().bind(|| insta::assert_snapshot!($crate::world::refusal(finished)));
    }};
}
pub(crate) use assert_refusal;

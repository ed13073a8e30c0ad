//! The products behind the targets as their tools report them: running, stopped, or absent.

use std::sync::OnceLock;

use todohost_testkit::cluster::kubeconfig;
use todohost_testkit::{Project, Rule};

use crate::world::{DATABASE, World};

/// The state of a product when a test begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    Running,
    Stopped,
    Absent,
    /// Its tool reports that it starts.
    Starting,
    /// It runs, but its API server does not answer.
    Sick,
    /// Its creation was killed half-way.
    HalfMade,
}

/// Programs with their rules.
type Scripts = Vec<(&'static str, Vec<Rule>)>;

/// A target and the facts about its product that tests need.
#[derive(Clone)]
pub struct Product {
    /// The value of `--target`.
    pub target: &'static str,
    /// The name of its kubeconfig context.
    context: &'static str,
    /// Its table in `todohost.toml`, or empty.
    project: &'static str,
    /// Files that the product keeps in the home folder: path and content.
    files: &'static [(&'static str, &'static str)],
    /// Returns the rules of the tools for a state.
    rules: fn(Begins, &World) -> Scripts,
    /// Part of the command line that delivers images; `None` if a built image needs no delivery.
    pub delivery: Option<&'static str>,
    /// The flag of the scripted tools that marks an image as delivered.
    image_flag: fn() -> String,
    /// Part of the command line that starts a stopped cluster; `None` if the target cannot.
    pub start: Option<&'static str>,
    /// Part of the command line that creates a missing cluster; `None` if the target cannot.
    pub creation: Option<&'static str>,
    /// Part of the command line that repairs a degraded cluster; `None` if only the user can.
    pub cure: Option<&'static str>,
    /// Whether it distinguishes a starting cluster from a stopped one.
    pub detects_starting: bool,
    /// Mode, runtime and nodes in `target list`.
    pub facts: (Option<&'static str>, Option<&'static str>, &'static [&'static str]),
    /// The command that deletes the cluster; `None` if the target does not create clusters.
    pub deletion: Option<&'static str>,
    /// The address of a service with the node port 30000.
    pub address: &'static str,
}

/// The image of the project `shop`: its tag is a digest of its sources, equal in all worlds.
pub fn image() -> String {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let image = IMAGE.get_or_init(|| {
        let rendered = World::new().run("render").expect_code(0).stdout;
        let at = rendered.find("shop-web:").unwrap();
        rendered[at..].chars().take("shop-web:".len() + 12).collect()
    });
    image.clone()
}

const ARRIVED: &str = "arrived";

fn arrived() -> String {
    ARRIVED.to_owned()
}

/// Rules for the image store of a node, used through the commands `list` and `import`.
fn store(list: &str, import: &str) -> Vec<Rule> {
    vec![
        Rule::on(list).requires(ARRIVED).prints(&format!("docker.io/library/{}\n", image())),
        Rule::on(list).prints("registry.k8s.io/pause:3.10\n"),
        Rule::on(import).requires("delivery-fails").fails(1, "write: no space left on device\n"),
        Rule::on(import).sets(ARRIVED),
    ]
}

/// The digest of the layer that images share, and of the layer of one image.
const BASE: &str = "ba5e0000";
const OWN: &str = "0a110000";
/// Size of the layer `BASE`.
pub const BASE_BYTES: u64 = 200_000;

/// Rules for an engine that exports images.
fn save() -> Vec<Rule> {
    let base = "x".repeat(usize::try_from(BASE_BYTES).unwrap());
    let layers = [(BASE, base.as_str()), (OWN, "y")];
    let entries = layers.map(|(digest, content)| entry(&format!("blobs/sha256/{digest}"), content));
    let archive = format!("{}{}", entries.concat(), "\0".repeat(1024));
    vec![
        Rule::on("save **").requires("delivery-holds").holds(),
        Rule::on("save **").prints(&archive),
    ]
}

/// An entry of a tar archive that is plain text.
fn entry(name: &str, content: &str) -> String {
    let size = content.len();
    let before = format!("{name:\0<100}0000644\00000000\00000000\0{size:011o}\000000000000\0");
    let after = format!("0{:\0<100}ustar\000{:\0<247}", "", "");
    let sum: usize = before.bytes().chain(after.bytes()).map(usize::from).sum::<usize>() + 8 * 32;
    let padding = "\0".repeat(size.next_multiple_of(512) - size);
    format!("{before}{sum:06o}\0 {after}{content}{padding}")
}

/// A rule for a command that starts or creates the cluster and writes its kubeconfig.
fn brings_up(rule: Rule, world: &World, context: &str) -> Rule {
    rule.sets("up").creates(&world.project.kubeconfig(), &world.cluster.kubeconfig(context))
}

fn kind_rules(begins: Begins, world: &World) -> Scripts {
    let image = "kindest/node:v1.35.4@sha256:452d707d4862f52530247495d180205e029056831160e22870e37e3f6c1ac31f";
    let node = |state: &str, status: &str| {
        format!("todohost-control-plane\t{state}\tcontrol-plane\t{image}\t{status}\n")
    };
    let before = match begins {
        Begins::Running | Begins::Sick => node("running", "Up 3 hours"),
        Begins::Stopped => node("exited", "Exited (137) 2 days ago"),
        Begins::Starting => node("created", "Created"),
        Begins::HalfMade => node("running", "Up 20 seconds"),
        Begins::Absent => String::new(),
    };
    let list = "ps --all --no-trunc --filter label=io.x-k8s.kind.cluster=todohost --format *";
    let start = Rule::on("start todohost-control-plane");
    let restart = Rule::on("restart todohost-control-plane");
    let ready = Rule::on("exec todohost-control-plane kubectl ** --raw=/readyz");
    let mut docker = vec![
        Rule::on("ps --all --no-trunc --filter label=io.x-k8s.kind.cluster --format *"),
        Rule::on(list).requires("up").prints(&node("running", "Up 2 minutes")),
        Rule::on(list).requires("deleted"),
        Rule::on(list).prints(&before),
        // No container has another cluster's name.
        Rule::on("ps --all --no-trunc --filter label=io.x-k8s.kind.cluster=* --format *"),
        start.clone().requires("start-fails").fails(1, "Error: failed to start containers\n"),
        start.clone().requires("start-holds").holds(),
        brings_up(start, world, "kind-todohost"),
        brings_up(restart, world, "kind-todohost"),
        ready.clone().requires("up").prints("ok"),
        if matches!(begins, Begins::Sick | Begins::HalfMade) {
            ready.fails(1, REFUSED)
        } else {
            ready.prints("ok")
        },
        // kubeadm finished after kind was killed, so the objects that kind creates last are missing.
        Rule::on("exec todohost-control-plane kubectl ** get storageclasses,namespaces **").prints(
            if begins == Begins::HalfMade {
                "namespace/default\nnamespace/kube-system\n"
            } else {
                "storageclass.storage.k8s.io/standard\nnamespace/default\n"
            },
        ),
        Rule::on("port todohost-control-plane 30000/tcp").prints("127.0.0.1:49153\n"),
    ];
    docker.push(
        Rule::on("exec todohost-control-plane ctr ** content list --quiet")
            .prints(&format!("sha256:{BASE}\n")),
    );
    docker.extend(save());
    docker.extend(store(
        "exec todohost-control-plane ctr ** images list --quiet",
        "exec --interactive todohost-control-plane ctr ** import **",
    ));
    let create = Rule::on("create cluster --name todohost --config -");
    let kind = vec![
        Rule::on("--version").prints("kind version 0.33.0\n"),
        Rule::on("create **").requires("start-fails").fails(1, "ERROR: failed to create cluster\n"),
        Rule::on("create **").requires("start-holds").holds(),
        brings_up(create, world, "kind-todohost"),
        Rule::on("delete **")
            .requires("delete-fails")
            .fails(1, "ERROR: failed to delete cluster\n"),
        Rule::on("delete cluster --name todohost").sets("deleted"),
    ];
    vec![("docker", docker), ("kind", kind)]
}

/// The error of `kubectl` without an API server.
const REFUSED: &str = "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?\n";

/// The output of `minikube start`, line by line.
const STARTED: &str = r#"{"specversion":"1.0","type":"io.k8s.sigs.minikube.step","data":{"currentstep":"0","message":"minikube v1.36.0 on Debian 12\n","name":"Initial Minikube Setup","totalsteps":"19"}}
{"specversion":"1.0","type":"io.k8s.sigs.minikube.step","data":{"currentstep":"19","message":"Done!\n","name":"Done","totalsteps":"19"}}
"#;
const NOT_STARTED: &str = r#"{"specversion":"1.0","type":"io.k8s.sigs.minikube.error","data":{"advice":"Allocate more memory","exitcode":"29","issues":"","message":"There is not enough memory","name":"RSRC_INSUFFICIENT_SYS_MEMORY","url":""}}
"#;

const fn profile_of(docker_runtime: bool) -> &'static str {
    if docker_runtime {
        r#"{"Name":"minikube","Driver":"docker","KubernetesConfig":{"KubernetesVersion":"v1.35.4","ContainerRuntime":"docker"},"Nodes":[{"Name":"","IP":"192.168.49.2","ControlPlane":true}]}"#
    } else {
        r#"{"Name":"minikube","Driver":"docker","KubernetesConfig":{"KubernetesVersion":"v1.35.4","ContainerRuntime":"containerd"},"Nodes":[{"Name":"","IP":"192.168.49.2","ControlPlane":true}]}"#
    }
}

const CONTAINERD: &str = profile_of(false);
const DOCKER: &str = profile_of(true);
const MACHINE: &str = r#"{"Name":"minikube","Driver":"kvm2","KubernetesConfig":{"KubernetesVersion":"v1.35.4","ContainerRuntime":"cri-o"},"Nodes":[{"Name":"","IP":"192.168.39.7","ControlPlane":true}]}"#;

fn minikube_tool(world: &World, profile: &str) -> Vec<Rule> {
    let file = world.project.home().join(".minikube/profiles/minikube/config.json");
    let start = Rule::on("start ** --profile minikube **");
    let failing = start.clone().requires("start-fails").prints(NOT_STARTED);
    let status = |server: &str| {
        Rule::on("status --output json --profile minikube").prints(&format!(
            r#"{{"Name":"minikube","Host":"Running","Kubelet":"Stopped","APIServer":"{server}","Kubeconfig":"Configured","Worker":false}}"#
        ))
    };
    vec![
        Rule { exit: 2, ..status("Paused").requires("paused") },
        Rule { exit: 6, ..status("Stopped") },
        Rule::on("profile list **").prints("{\"invalid\":[],\"valid\":[]}"),
        Rule { exit: 29, ..failing },
        start.clone().requires("start-holds").prints(STARTED).holds(),
        brings_up(start.prints(STARTED).creates(&file, profile), world, "minikube"),
        Rule::on("delete **").requires("delete-fails").fails(1, "the machine is busy\n"),
        Rule::on("delete --profile minikube"),
    ]
}

fn minikube_containers(
    begins: Begins,
    world: &World,
    profile: &str,
    list: &str,
    import: &str,
) -> Scripts {
    let before = match begins {
        Begins::Running | Begins::Sick => "running\tUp 3 hours",
        Begins::Starting | Begins::HalfMade => "running\tUp 8 seconds",
        Begins::Stopped | Begins::Absent => "exited\tExited (130) 2 days ago",
    };
    let nodes =
        "ps --all --no-trunc --filter label=created_by.minikube.sigs.k8s.io=true --format *";
    let ready =
        Rule::on("exec minikube /var/lib/minikube/binaries/v1.35.4/kubectl ** --raw=/readyz");
    let mut docker = vec![
        Rule::on(nodes).requires("up").prints("minikube\trunning\tUp 2 minutes\n"),
        Rule::on(nodes).prints(&format!("minikube\t{before}\n")),
        ready.clone().requires("up").prints("ok"),
        match begins {
            Begins::Running => ready.prints("ok"),
            // minikube copies its programs into the node first.
            Begins::HalfMade => {
                ready.fails(126, "OCI runtime exec failed: no such file or directory\n")
            }
            _ => ready.fails(1, REFUSED),
        },
        Rule::on("port minikube 30000/tcp").fails(1, "Error: No public port '30000/tcp'\n"),
    ];
    docker.push(Rule::on("exec minikube ctr ** content list --quiet").prints(""));
    docker.extend(save());
    docker.extend(store(list, import));
    vec![("docker", docker), ("minikube", minikube_tool(world, profile))]
}

fn minikube_containerd_rules(begins: Begins, world: &World) -> Scripts {
    let list = "exec minikube ctr ** images list --quiet";
    let import = "exec --interactive minikube ctr ** import **";
    minikube_containers(begins, world, CONTAINERD, list, import)
}

fn minikube_docker_rules(begins: Begins, world: &World) -> Scripts {
    let list = "exec minikube docker image ls **";
    let import = "exec --interactive minikube docker load --quiet";
    minikube_containers(begins, world, DOCKER, list, import)
}

/// A virtual machine, which the engine cannot see.
fn minikube_machine_rules(begins: Begins, world: &World) -> Scripts {
    let report = |host: &str, server: &str, kubeconfig: &str| {
        format!(
            r#"{{"Name":"minikube","Host":"{host}","Kubelet":"{server}","APIServer":"{server}","Kubeconfig":"{kubeconfig}","Worker":false}}"#
        )
    };
    let status = Rule::on("status --output json --profile minikube");
    let running = status.clone().prints(&report("Running", "Running", "Configured"));
    let sick = report("Running", "Stopped", "Configured");
    let before = match begins {
        Begins::Running => running.clone(),
        Begins::Sick | Begins::HalfMade => Rule { exit: 6, ..status.prints(&sick) },
        _ => Rule { exit: 7, ..status.prints(&report("Stopped", "Stopped", "Stopped")) },
    };
    let list = "image ls --profile minikube";
    let mut minikube = vec![running.requires("up"), before];
    minikube.extend(store(list, "image load - --profile minikube"));
    minikube.extend(minikube_tool(world, MACHINE));
    vec![("docker", save()), ("minikube", minikube)]
}

fn registry_rules(_: Begins, _: &World) -> Scripts {
    let docker = vec![
        Rule::on("manifest inspect *").requires(ARRIVED).prints("{}"),
        Rule::on("manifest inspect *").fails(1, "no such manifest: {2}\n"),
        Rule::on("push --quiet *").requires("delivery-holds").holds(),
        Rule::on("push --quiet *")
            .requires("delivery-fails")
            .fails(1, "unauthorized: authentication required\n"),
        Rule::on("push --quiet *").sets(ARRIVED),
    ];
    vec![("docker", docker)]
}

fn no_rules(_: Begins, _: &World) -> Scripts {
    vec![("docker", Vec::new())]
}

/// The `docker desktop` command, which answers even if the engine is stopped.
fn desktop_rules(begins: Begins, world: &World) -> Scripts {
    let says = if begins == Begins::Starting { "starting" } else { "stopped" };
    let start = Rule::on("desktop start --timeout *");
    let docker = vec![
        Rule::on("desktop status --format json")
            .prints(&format!("{{\"Status\":\"{says}\",\"SessionID\":\"\"}}\n")),
        start.clone().requires("start-fails").fails(1, "Docker Desktop is unable to start\n"),
        start.clone().requires("start-holds").holds(),
        brings_up(start, world, "docker-desktop").unsets("engine-stopped"),
    ];
    vec![("docker", docker)]
}

/// Docker Desktop with nodes that are containers.
fn desktop_kind_rules(begins: Begins, world: &World) -> Scripts {
    let mut scripts = desktop_rules(begins, world);
    let (_, docker) = &mut scripts[0];
    let content = "exec desktop-control-plane ctr ** content list --quiet";
    docker.extend([
        // Docker Desktop hides these containers in lists.
        Rule::on("ps --filter label=io.x-k8s.kind.cluster=desktop --format *")
            .requires("!engine-stopped"),
        Rule::on(content).requires("!engine-stopped").prints(&format!("sha256:{BASE}\n")),
    ]);
    docker.extend(save());
    docker.extend(store(
        "exec desktop-control-plane ctr ** images list --quiet",
        "exec --interactive desktop-control-plane ctr ** import **",
    ));
    scripts
}

/// Docker Desktop's settings file on Linux.
const SETTINGS_FILE: &str = ".docker/desktop/settings-store.json";
const BY_KIND: &str = r#"{"AutoStart":false,"KubernetesEnabled":true,"KubernetesMode":"kind","KubernetesNodesCount":1,"KubernetesNodesVersion":"1.35.4","MemoryMiB":8092}"#;

const PROFILE_FILE: &str = ".minikube/profiles/minikube/config.json";

/// Every target, in each of its modes.
pub fn all() -> Vec<Product> {
    let minikube = |profile, rules| Product {
        target: "minikube",
        context: "minikube",
        project: "",
        files: profile,
        rules,
        delivery: Some("docker save"),
        image_flag: arrived,
        start: Some("minikube start"),
        creation: Some("minikube start"),
        cure: Some("minikube start"),
        detects_starting: true,
        facts: (Some("docker"), Some("containerd"), &["minikube"]),
        deletion: Some("minikube delete --profile minikube"),
        // The engine reports that it belongs to Docker Desktop, and its containers have no address on this machine.
        address: "todohost forward shop-web --target minikube",
    };
    let desktop = || Product {
        target: "docker-desktop",
        context: "docker-desktop",
        project: "",
        files: &[],
        rules: desktop_rules,
        delivery: None,
        image_flag: image,
        start: Some("docker desktop start"),
        creation: None,
        cure: None,
        detects_starting: true,
        facts: (Some("kubeadm"), Some("docker"), &["docker-desktop"]),
        deletion: None,
        address: "http://localhost:30000",
    };
    let lab = |project, rules| Product {
        target: "lab",
        context: "lab",
        project,
        files: &[],
        rules,
        delivery: None,
        image_flag: image,
        start: None,
        creation: None,
        cure: None,
        detects_starting: false,
        facts: (None, None, &[]),
        deletion: None,
        address: "http://localhost:30000",
    };
    vec![
        desktop(),
        Product {
            files: &[(SETTINGS_FILE, BY_KIND)],
            rules: desktop_kind_rules,
            delivery: Some("docker save"),
            image_flag: arrived,
            facts: (Some("kind"), Some("containerd"), &["desktop-control-plane"]),
            address: "todohost forward shop-web --target docker-desktop",
            ..desktop()
        },
        Product {
            target: "kind",
            context: "kind-todohost",
            project: "",
            files: &[],
            rules: kind_rules,
            delivery: Some("docker save"),
            image_flag: arrived,
            start: Some("docker start"),
            creation: Some("kind create"),
            cure: Some("docker restart"),
            detects_starting: true,
            facts: (None, Some("containerd"), &["todohost-control-plane"]),
            deletion: Some("kind delete cluster --name todohost"),
            address: "http://localhost:49153",
        },
        minikube(&[(PROFILE_FILE, CONTAINERD)], minikube_containerd_rules),
        Product {
            facts: (Some("docker"), Some("docker"), &["minikube"]),
            ..minikube(&[(PROFILE_FILE, DOCKER)], minikube_docker_rules)
        },
        Product {
            address: "http://192.168.39.7:30000",
            creation: None,
            // minikube reports a booting machine as running.
            detects_starting: false,
            facts: (Some("kvm2"), Some("cri-o"), &["minikube"]),
            ..minikube(&[(PROFILE_FILE, MACHINE)], minikube_machine_rules)
        },
        Product {
            delivery: Some("docker push"),
            image_flag: arrived,
            ..lab(
                "\n[targets.lab]\nplugin = \"context\"\noptions = { context = \"lab\", imagesVia = \"registry\" }\n",
                registry_rules,
            )
        },
        lab(
            "\n[targets.lab]\nplugin = \"context\"\noptions = { context = \"lab\", imagesVia = \"shared-daemon\" }\n",
            no_rules,
        ),
    ]
}

impl Product {
    /// A world with the product in this state.
    pub fn world(&self, begins: Begins) -> World {
        self.world_where(begins, &[])
    }

    /// A world with the product in this state, with rules for `docker` that take precedence.
    pub fn world_where(&self, begins: Begins, docker: &[Rule]) -> World {
        let world = World::with(Project::shop(), self.context, &[]);
        for (program, rules) in (self.rules)(begins, &world) {
            match program {
                "docker" => {
                    let rules = [docker, rules.as_slice(), &crate::world::docker()].concat();
                    world.tools.program(program, &rules);
                }
                _ => world.tools.program(program, &rules),
            }
        }
        world.project.append("todohost.toml", self.project);
        if self.delivery == Some("docker push") {
            let name = "[images.shop-web]";
            world.project.replace("todohost.toml", name, "[images.\"registry.example/shop-web\"]");
        }
        if begins != Begins::Absent {
            for (file, content) in self.files {
                let file = world.project.home().join(file);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, content).unwrap();
            }
        }
        match begins {
            Begins::Running => {}
            // The context exists but leads to a closed port.
            Begins::Stopped | Begins::Starting | Begins::Sick => {
                let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
                let port = listener.local_addr().unwrap().port();
                let text = kubeconfig(self.context, &format!("http://127.0.0.1:{port}"));
                std::fs::write(world.project.kubeconfig(), text).unwrap();
                if self.target == "docker-desktop" && begins != Begins::Sick {
                    world.tools.set("engine-stopped");
                }
            }
            // The tool writes the context last.
            Begins::Absent | Begins::HalfMade => {
                std::fs::remove_file(world.project.kubeconfig()).unwrap();
            }
        }
        world
    }

    /// Completes the start of a starting cluster.
    pub fn come_up(&self, world: &World) {
        world.tools.unset("engine-stopped");
        let text = world.cluster.kubeconfig(self.context);
        std::fs::write(world.project.kubeconfig(), text).unwrap();
    }

    /// Makes the context lead to a remote machine.
    pub fn lead_elsewhere(&self, world: &World) {
        let text = kubeconfig(self.context, "https://cluster.example:6443");
        std::fs::write(world.project.kubeconfig(), text).unwrap();
    }

    /// A deploy to this target with more arguments.
    pub fn deploy(&self, world: &World, more: &[&str]) -> todohost_testkit::Host {
        world
            .host()
            .args(["deploy", "--target", self.target])
            .args(["--set", &format!("secrets.databaseUrl={DATABASE}")])
            .args(more)
    }

    /// Removes its images like a garbage collection.
    pub fn collect_images(&self, world: &World) {
        world.tools.unset(&(self.image_flag)());
    }

    /// Number of deliveries.
    pub fn deliveries(&self, world: &World) -> usize {
        let Some(delivery) = self.delivery else { return 0 };
        world.tools.lines().iter().filter(|line| line.starts_with(delivery)).count()
    }
}

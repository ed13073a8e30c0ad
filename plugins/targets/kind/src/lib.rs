//! The target `kind`: nodes are containers with their own image store.
//!
//! The plugin reads facts from the Docker engine, which answers quicker than kind. It calls kind to create the cluster,
//! to write the context, and to delete the cluster.

mod configuration;
mod nodes;
mod status;

use nodes::{Inside, Made, Node};
use serde::Deserialize;
use std::time::Duration;
use todohost_docker_engine::{self as engine, Engine, Runtime, room, store};
use todohost_plugin::log::Progress;
use todohost_plugin::process::{self, Command, Output};
use todohost_plugin::target::{Connection, Delivered, ImageRoute, Reach, Service, State, Status};
use todohost_plugin::{Error, ErrorKind, Image, Result, Target, workspace};

struct Kind;

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Options {
    cluster: String,
    node_image: Option<String>,
    node_ports: Vec<u16>,
}

impl Default for Options {
    fn default() -> Self {
        Self { cluster: "todohost".into(), node_image: None, node_ports: vec![30000] }
    }
}

impl Options {
    fn context(&self) -> String {
        format!("kind-{}", self.cluster)
    }
}

impl Target for Kind {
    type Options = Options;

    fn detect(options: Options) -> Result<Status> {
        match nodes::of(&options.cluster) {
            Ok(found) if found.is_empty() && process::version("kind")?.is_none() => {
                Ok(Status::new(State::Absent, "kind is not installed"))
            }
            Ok(found) if found.is_empty() => {
                let others = nodes::other_clusters(&options.cluster)?;
                Ok(status::absent(&options.cluster, &others).warn(room::of_engine()))
            }
            Ok(found) => {
                let contexts = workspace::contexts()?;
                let context = contexts.iter().find(|context| context.name == options.context());
                let runs = found.iter().all(Node::runs);
                let inside =
                    if runs { nodes::inside(&found, context.is_some())? } else { Inside::Healthy };
                let status = status::of(&options.cluster, &found, &inside, context);
                // All nodes share one disk.
                let disk =
                    found.first().filter(|_| runs).and_then(|node| room::of_node(&node.name));
                Ok(status.warn(room::of_engine()).warn(disk))
            }
            Err(error) if error.kind == ErrorKind::Unavailable => Ok(match engine::ask()? {
                Engine::Missing => Status::new(State::Absent, "Docker is not installed"),
                _ => Status::new(State::Stopped, error.message),
            }),
            Err(error) => Err(error),
        }
    }

    fn ensure(options: Options) -> Result<Status> {
        engine::require()?;
        let found = nodes::of(&options.cluster)?;
        if found.is_empty() {
            create(&options)?;
            return Self::detect(options);
        }
        let has_context =
            workspace::contexts()?.iter().any(|context| context.name == options.context());
        let started = start(&found)?;
        if !has_context {
            wait_until_known(&found)?;
        }
        match nodes::inside(&found, has_context)? {
            Inside::Unfinished => {
                delete(&options.cluster)?;
                create(&options)?;
            }
            _ if !has_context => kind(
                ["export", "kubeconfig", "--name", &options.cluster],
                b"",
                "kind.context-missing",
            )?,
            Inside::Unhealthy(_) if !started && !found.iter().any(|node| node.is_young) => {
                restart(&found)?;
            }
            Inside::Unhealthy(_) | Inside::Healthy => {}
        }
        wait_until_ready(&nodes::of(&options.cluster)?)?;
        Self::detect(options)
    }

    fn connect(options: Options) -> Result<Connection> {
        Ok(Connection::Context(options.context()))
    }

    fn images_via(_options: Options) -> Result<ImageRoute> {
        Ok(ImageRoute::SideLoad)
    }

    fn missing_images(options: Options, images: Vec<Image>) -> Result<Vec<Image>> {
        store::missing(&nodes::names(&nodes::of(&options.cluster)?), Runtime::Containerd, images)
    }

    fn deliver_images(options: Options, images: Vec<Image>) -> Result<Vec<Delivered>> {
        store::deliver(&nodes::names(&nodes::of(&options.cluster)?), Runtime::Containerd, images)
    }

    /// Deletes images on the nodes. The engine's copies stay, because another cluster may use them.
    fn remove_images(options: Options, images: Vec<Image>) -> Result<Vec<String>> {
        store::remove(&nodes::names(&nodes::of(&options.cluster)?), Runtime::Containerd, &images)
    }

    fn reach_service(options: Options, service: Service) -> Result<Reach> {
        let Some(port) = service.node_port else { return Ok(Reach::PortForward) };
        for node in &nodes::of(&options.cluster)? {
            if let Some(published) = engine::published(&node.name, port)? {
                return Ok(Reach::Url(format!("http://localhost:{published}")));
            }
        }
        Ok(Reach::PortForward)
    }

    fn teardown(options: Options) -> Result<()> {
        delete(&options.cluster)
    }
}

fn delete(cluster: &str) -> Result<()> {
    kind(["delete", "cluster", "--name", cluster], b"", "kind.delete-failed")
}

fn create(options: &Options) -> Result<()> {
    let progress = Progress::new(&format!("create the kind cluster {}", options.cluster));
    progress.message("takes about 30 s, longer if the node image has to be pulled");
    let configuration = configuration::of(&options.node_ports);
    let mut arguments = vec!["create", "cluster", "--name", &options.cluster, "--config", "-"];
    if let Some(image) = &options.node_image {
        arguments.extend(["--image", image]);
    }
    let made = kind(arguments, configuration.as_bytes(), "kind.create-failed");
    // On failure, kind removes the partial cluster, and the last lines of its output have the cause.
    made.map_err(|error| match error.help {
        Some(_) => error,
        None => {
            error.help(format!("try it by hand: kind create cluster --name {}", options.cluster))
        }
    })?;
    wait_until_ready(&nodes::of(&options.cluster)?)
}

/// Starts stopped nodes, and reports whether there were any.
fn start(found: &[Node]) -> Result<bool> {
    let stopped: Vec<_> =
        found.iter().filter(|node| !node.runs()).map(|node| node.name.clone()).collect();
    if stopped.is_empty() {
        return Ok(false);
    }
    let _progress = Progress::new("start the nodes of the kind cluster");
    let output =
        Command::new("docker").arg("start").args(stopped).timeout(Duration::from_mins(1)).run()?;
    if !output.success() {
        return Err(not_started(&output));
    }
    Ok(true)
}

fn restart(found: &[Node]) -> Result<()> {
    let _progress = Progress::new("restart the nodes of the kind cluster");
    let output = Command::new("docker")
        .arg("restart")
        .args(nodes::names(found))
        .timeout(Duration::from_mins(2))
        .run()?;
    if output.success() { Ok(()) } else { Err(not_started(&output)) }
}

fn not_started(output: &Output) -> Error {
    output
        .to_error("kind.start-failed", "the nodes of the kind cluster did not start")
        .help("`docker ps --all` lists the nodes, `docker logs NODE` shows the log of a node")
}

/// Waits until the API server in the control-plane node is ready.
fn wait_until_ready(found: &[Node]) -> Result<()> {
    let node = nodes::control_plane(found)?;
    let kubeconfig = format!("--kubeconfig={}", nodes::ADMIN);
    wait_for(node, "waiting for its API server", || {
        Ok(in_node(node, &["kubectl", &kubeconfig, "get", "--raw=/readyz"])?.success())
    })
}

/// Waits until the cluster answers, which shows whether its creation completed. It may still be in progress in the
/// node.
fn wait_until_known(found: &[Node]) -> Result<()> {
    let Ok(node) = nodes::control_plane(found) else { return Ok(()) };
    wait_for(node, "checking whether its creation completed", || {
        Ok(nodes::made(node)? != Made::Unknown)
    })
}

/// Polls once a second. The pause is a `sleep` in the node, because a plugin cannot sleep.
fn wait_for(node: &Node, message: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let progress = Progress::new("wait for the kind cluster");
    progress.message(message);
    for _ in 0..90 {
        if condition()? {
            return Ok(());
        }
        in_node(node, &["sleep", "1"])?;
    }
    Err(Error::new(
        ErrorKind::Timeout,
        "kind.not-ready",
        format!("{} did not become ready within 90 s", node.name),
    )
    .help(format!("read `docker logs {}`", node.name)))
}

fn in_node(node: &Node, arguments: &[&str]) -> Result<Output> {
    Command::new("docker")
        .args(["exec", &node.name])
        .args(arguments.iter().copied())
        .timeout(Duration::from_secs(20))
        .run()
}

/// Runs kind. The error has the last lines of its output as causes.
fn kind<'a>(arguments: impl IntoIterator<Item = &'a str>, stdin: &[u8], code: &str) -> Result<()> {
    let command = Command::new("kind")
        .args(arguments.into_iter().map(str::to_owned))
        .timeout(Duration::from_mins(10));
    let shown = command.arguments()[..2].join(" ");
    let output = command.run_with(stdin).map_err(|error| {
        if error.kind != ErrorKind::NotFound {
            return error;
        }
        Error::unavailable("kind.not-installed", "kind is not installed: cannot find the program `kind`")
            .help("install kind (https://kind.sigs.k8s.io/docs/user/quick-start), then run the deploy again")
    })?;
    if output.success() {
        Ok(())
    } else {
        Err(output.to_error(code, format!("kind {shown} failed")))
    }
}

todohost_plugin::export!(Kind: target);

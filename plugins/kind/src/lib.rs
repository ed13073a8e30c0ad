//! The target `kind`: nodes that are containers, with an image store of their own.
//!
//! What can be asked of the engine is asked of the engine, which answers quicker than kind; kind itself creates the
//! cluster, writes its context, and deletes it.

mod configuration;
mod nodes;

use nodes::Node;
use serde::Deserialize;
use std::time::Duration;
use todohost_docker_engine::{self as engine, Engine, Runtime, store};
use todohost_plugin::log::Progress;
use todohost_plugin::process::{self, Command};
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
            Ok(found) => {
                let contexts = workspace::contexts()?;
                let context = contexts.iter().find(|context| context.name == options.context());
                Ok(nodes::status(&options.cluster, &found, context))
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
        } else {
            start(&found)?;
            if !workspace::contexts()?.iter().any(|context| context.name == options.context()) {
                kind(
                    ["export", "kubeconfig", "--name", &options.cluster],
                    b"",
                    "kind.context-missing",
                )?;
            }
        }
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
        store::bring(&nodes::names(&nodes::of(&options.cluster)?), Runtime::Containerd, images)
    }

    /// From the nodes. The engine's own copies stay: another cluster may run them.
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
        kind(["delete", "cluster", "--name", &options.cluster], b"", "kind.delete-failed")
    }
}

fn create(options: &Options) -> Result<()> {
    let progress = Progress::new(&format!("create the kind cluster {}", options.cluster));
    progress.message("half a minute once; minutes where its node image is not here yet");
    let configuration = configuration::of(&options.node_ports);
    let mut arguments = vec!["create", "cluster", "--name", &options.cluster, "--config", "-"];
    if let Some(image) = &options.node_image {
        arguments.extend(["--image", image]);
    }
    let made = kind(arguments, configuration.as_bytes(), "kind.create-failed");
    // kind removes what it began when it fails; the last lines say why it did.
    made.map_err(|error| {
        error.help(format!("try it by hand: kind create cluster --name {}", options.cluster))
    })?;
    wait_until_ready(&nodes::of(&options.cluster)?)
}

fn start(found: &[Node]) -> Result<()> {
    let stopped: Vec<_> =
        found.iter().filter(|node| !node.running).map(|node| node.name.clone()).collect();
    if stopped.is_empty() {
        return Ok(());
    }
    let progress = Progress::new("start the kind cluster");
    let output =
        Command::new("docker").arg("start").args(stopped).timeout(Duration::from_mins(1)).run()?;
    if !output.success() {
        return Err(output.to_error("kind.start-failed", "the nodes did not start"));
    }
    progress.message("waiting for Kubernetes to answer");
    wait_until_ready(found)
}

/// Asks the API server inside the node; the pause between two questions is the node's, as a plugin has no clock to
/// wait on.
fn wait_until_ready(found: &[Node]) -> Result<()> {
    let Some(node) = found.iter().find(|node| node.control_plane) else {
        return Err(Error::internal(
            "kind.no-control-plane",
            "the cluster has no control-plane node",
        ));
    };
    let in_node = |arguments: &[&str]| {
        Command::new("docker")
            .args(["exec", &node.name])
            .args(arguments.iter().copied())
            .timeout(Duration::from_secs(20))
            .run()
    };
    for _ in 0..90 {
        if in_node(&["kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "get", "--raw=/readyz"])?
            .success()
        {
            return Ok(());
        }
        in_node(&["sleep", "1"])?;
    }
    Err(Error::new(
        ErrorKind::Timeout,
        "kind.not-ready",
        format!("{} does not answer after 90 s", node.name),
    )
    .help(format!("look at `docker logs {}`", node.name)))
}

/// Runs kind; its output is what explains a failure.
fn kind<'a>(arguments: impl IntoIterator<Item = &'a str>, stdin: &[u8], code: &str) -> Result<()> {
    let command = Command::new("kind")
        .args(arguments.into_iter().map(str::to_owned))
        .timeout(Duration::from_mins(10));
    let shown = command.arguments()[..2].join(" ");
    let output = command.run_with(stdin).map_err(|error| {
        if error.kind != ErrorKind::NotFound {
            return error;
        }
        Error::unavailable("kind.not-installed", "kind is not installed: there is no program `kind`")
            .help("install it as https://kind.sigs.k8s.io/docs/user/quick-start says, then run the deploy again")
    })?;
    if output.success() {
        Ok(())
    } else {
        Err(output.to_error(code, format!("kind {shown} failed")))
    }
}

todohost_plugin::export!(Kind: target);

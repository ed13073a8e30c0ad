//! The target `minikube`: clusters in containers or virtual machines, one per profile.
//!
//! minikube's commands take a second or more, so the plugin avoids them: it reads the profile from minikube's file, and
//! uses the Docker engine to read the state of nodes that are containers and to deliver images to them.

mod profile;
mod start;
mod status;

use profile::{Found, Profile};
use serde::Deserialize;
use status::Nodes;
use std::time::Duration;
use todohost_docker_engine::{self as engine, Runtime, node, room, store};
use todohost_plugin::log::Progress;
use todohost_plugin::process::{self, Command};
use todohost_plugin::target::{Connection, Delivered, ImageRoute, Reach, Service, State, Status};
use todohost_plugin::{Error, ErrorKind, Image, Result, Target, workspace};

struct Minikube;

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Options {
    profile: String,
    driver: Option<String>,
    container_runtime: Option<String>,
    kubernetes_version: Option<String>,
    cpus: Option<u32>,
    memory: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            profile: "minikube".to_owned(),
            driver: None,
            container_runtime: None,
            kubernetes_version: None,
            cpus: None,
            memory: None,
        }
    }
}

impl Target for Minikube {
    type Options = Options;

    fn detect(options: Options) -> Result<Status> {
        let name = &options.profile;
        let profile = match profile::find(name)? {
            Found::NotInstalled => {
                return Ok(Status::new(State::Absent, "minikube is not installed"));
            }
            Found::Missing => {
                return Ok(Status::new(
                    State::Absent,
                    format!("the profile {name} does not exist"),
                )
                .offer(format!("create the minikube cluster {name}")));
            }
            Found::Profile(profile) => profile,
        };
        let contexts = workspace::contexts()?;
        let context = contexts.iter().find(|context| context.name == *name);
        let nodes = status::nodes(&profile)?;
        let status = status::of(&profile, &nodes, context);
        if !profile.in_docker() {
            return Ok(status);
        }
        let disk = (nodes == Nodes::Running).then(|| room::of_node(&profile.name)).flatten();
        Ok(status.warn(room::of_engine()).warn(disk))
    }

    fn ensure(options: Options) -> Result<Status> {
        match profile::find(&options.profile)? {
            Found::NotInstalled => return Err(status::not_installed()),
            Found::Missing => start::start(&options, true)?,
            Found::Profile(profile) => match status::nodes(&profile)? {
                Nodes::EngineOff(_) => {
                    engine::require()?;
                }
                Nodes::Paused => return Err(paused(&profile.name)),
                Nodes::Running if is_complete(&profile)? => update_context(&profile.name)?,
                // Another program is starting the cluster; the host waits for it.
                Nodes::Starting => {}
                _ => start::start(&options, false)?,
            },
        }
        Self::detect(options)
    }

    fn connect(options: Options) -> Result<Connection> {
        Ok(Connection::Context(options.profile))
    }

    fn images_via(options: Options) -> Result<ImageRoute> {
        let profile = existing(&options)?;
        Ok(if shares_the_engine(&profile) {
            ImageRoute::SharedDaemon
        } else {
            ImageRoute::SideLoad
        })
    }

    fn missing_images(options: Options, images: Vec<Image>) -> Result<Vec<Image>> {
        let profile = existing(&options)?;
        if shares_the_engine(&profile) {
            return engine::missing(images);
        }
        if let Some(runtime) = store_runtime(&profile) {
            return store::missing(&profile.machines(), runtime, images);
        }
        let output =
            minikube(&["image", "ls", "--profile", &profile.name], Duration::from_mins(1))?;
        if !output.success() {
            let message =
                format!("cannot list the images of the minikube profile {}", profile.name);
            return Err(output.to_error("minikube.images-unknown", message));
        }
        let has = [store::names(&output.stdout_text())];
        Ok(images.into_iter().filter(|image| !store::in_all(&has, &image.reference)).collect())
    }

    /// Copies images from the engine's store to the nodes: with docker if the nodes are containers, else with minikube.
    fn deliver_images(options: Options, images: Vec<Image>) -> Result<Vec<Delivered>> {
        let profile = existing(&options)?;
        if let Some(runtime) = store_runtime(&profile) {
            return store::deliver(&profile.machines(), runtime, images);
        }
        let progress = Progress::new(&format!("copy {} images to {}", images.len(), profile.name));
        let references: Vec<&str> = images.iter().map(|image| image.reference.as_str()).collect();
        let load = Command::new("minikube")
            .args(["image", "load", "-", "--profile", &profile.name])
            .timeout(Duration::from_mins(15));
        let output = process::pipe([store::save(&references), load])?;
        drop(progress);
        if !output.success() {
            let message = format!("cannot load images into the minikube profile {}", profile.name);
            return Err(output.to_error("minikube.load-failed", message).help(format!(
                "check the node's disk with `minikube ssh --profile {} -- df -h /var`, then run the deploy again",
                profile.name
            )));
        }
        let sent = |image: Image| Delivered {
            bytes_sent: image.size,
            reference: image.reference,
            already_there: false,
        };
        Ok(images.into_iter().map(sent).collect())
    }

    /// Deletes images on the nodes. If the nodes have their own store, the engine's copies stay, because another
    /// cluster may use them.
    fn remove_images(options: Options, images: Vec<Image>) -> Result<Vec<String>> {
        let profile = existing(&options)?;
        if shares_the_engine(&profile) {
            return engine::remove(&images);
        }
        match store_runtime(&profile) {
            Some(runtime) => store::remove(&profile.machines(), runtime, &images),
            // minikube's command connects to every node over ssh, and takes longer than a deploy.
            None => Ok(Vec::new()),
        }
    }

    /// Prefers a published port, else uses the address of a node if this machine can reach it.
    fn reach_service(options: Options, service: Service) -> Result<Reach> {
        let Some(port) = service.node_port else { return Ok(Reach::PortForward) };
        let profile = existing(&options)?;
        if profile.on_bare_machine() {
            return Ok(Reach::Url(format!("http://localhost:{port}")));
        }
        if profile.in_docker() {
            for machine in profile.machines() {
                if let Some(published) = engine::published(&machine, port)? {
                    return Ok(Reach::Url(format!("http://localhost:{published}")));
                }
            }
            // Docker Desktop runs containers in a virtual machine, and their addresses are not reachable from here.
            if engine::require()?.desktop {
                return Ok(Reach::PortForward);
            }
        }
        let mut addresses = profile.nodes.iter().map(|node| node.address.as_str());
        Ok(addresses
            .find(|address| !address.is_empty())
            .map_or(Reach::PortForward, |address| Reach::Url(format!("http://{address}:{port}"))))
    }

    fn teardown(options: Options) -> Result<()> {
        let output = minikube(&["delete", "--profile", &options.profile], Duration::from_mins(5))?;
        if output.success() {
            return Ok(());
        }
        let message = format!("cannot delete the minikube cluster {}", options.profile);
        Err(output.to_error("minikube.delete-failed", message))
    }
}

fn existing(options: &Options) -> Result<Profile> {
    match profile::find(&options.profile)? {
        Found::Profile(profile) => Ok(profile),
        Found::NotInstalled => Err(status::not_installed()),
        Found::Missing => Err(Error::unavailable(
            "minikube.absent",
            format!("the minikube profile {} does not exist", options.profile),
        )
        .help(format!("run `minikube start --profile {}`", options.profile))),
    }
}

/// Reports whether the node is this machine and runs the images of its engine.
fn shares_the_engine(profile: &Profile) -> bool {
    profile.on_bare_machine() && profile.runtime == "docker"
}

/// Runtime of the nodes' image store, if the nodes are containers and the runtime is supported.
fn store_runtime(profile: &Profile) -> Option<Runtime> {
    match profile.runtime.as_str() {
        "containerd" if profile.in_docker() => Some(Runtime::Containerd),
        "docker" if profile.in_docker() => Some(Runtime::Docker),
        _ => None,
    }
}

/// Reports whether the creation of a running cluster completed. If it was interrupted, a start continues it.
fn is_complete(profile: &Profile) -> Result<bool> {
    Ok(!profile.in_docker() || status::inside(profile)? == node::Health::Healthy)
}

fn update_context(profile: &str) -> Result<()> {
    let output = minikube(&["update-context", "--profile", profile], Duration::from_mins(1))?;
    if output.success() {
        return Ok(());
    }
    let message = format!("cannot write the context of the minikube profile {profile}");
    Err(output
        .to_error("minikube.context-missing", message)
        .help(format!("try it by hand: minikube update-context --profile {profile}")))
}

fn paused(profile: &str) -> Error {
    Error::unavailable("minikube.paused", format!("the minikube cluster {profile} is paused"))
        .help(format!("run `minikube unpause --profile {profile}`"))
}

fn minikube(arguments: &[&str], timeout: Duration) -> Result<process::Output> {
    let command = Command::new("minikube").args(arguments.iter().copied()).timeout(timeout);
    command.run().map_err(|error| {
        if error.kind == ErrorKind::NotFound { status::not_installed() } else { error }
    })
}

todohost_plugin::export!(Minikube: target);

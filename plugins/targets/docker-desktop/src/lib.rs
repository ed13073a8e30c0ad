//! The target `docker-desktop`: Kubernetes as Docker Desktop brings it, by either of its provisioners.

mod desktop;
mod provisioner;
mod recognise;
mod settings;
mod status;

use desktop::Desktop;
use provisioner::Provisioner;
use recognise::CONTEXT;
use serde::Deserialize;
use status::Seen;
use todohost_docker_engine::{self as engine, Engine, Runtime, room, store};
use todohost_plugin::target::{Connection, Delivered, ImageRoute, Reach, Service, State, Status};
use todohost_plugin::{Error, Image, Result, Target, log, workspace};

struct DockerDesktop;

#[derive(Deserialize)]
#[serde(default)]
struct Options {
    context: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { context: CONTEXT.to_owned() }
    }
}

impl Target for DockerDesktop {
    type Options = Options;

    fn detect(options: Options) -> Result<Status> {
        let contexts = workspace::contexts()?;
        let context = contexts.iter().find(|context| context.name == options.context);
        let settings = settings::read()?;
        let engine = engine::ask()?;
        let is_stopped = matches!(engine, Engine::Stopped { .. });
        let matters = context.is_some() || settings.is_some();
        let desktop = if is_stopped && matters { desktop::ask() } else { Desktop::Silent };
        let (wanted, engine, settings) = (options.context.as_str(), &engine, settings.as_ref());
        let status = status::of(&Seen { wanted, context, settings, engine, desktop });
        if status.state != State::Ready {
            return Ok(status);
        }
        let provisioner = provisioner::of(settings, context);
        let disk = match &provisioner {
            Provisioner::Kind(nodes) => nodes.first().and_then(|node| room::of_node(node)),
            Provisioner::Kubeadm => None,
        };
        let status = status::with_facts(status, &provisioner, settings, engine);
        Ok(status.warn(room::of_engine()).warn(disk))
    }

    fn ensure(options: Options) -> Result<Status> {
        let wanted = options.context.clone();
        let status = Self::detect(Options { context: wanted.clone() })?;
        if status.offer.is_some() {
            desktop::start()?;
        } else if status.state != State::Starting {
            engine::require()?;
        }
        let status = Self::detect(options)?;
        match status.state {
            // What starts is waited for by the host.
            State::Ready | State::Starting => Ok(status),
            State::Stopped => Err(status::switched_off()),
            _ => Err(status::absent(&wanted)),
        }
    }

    fn connect(options: Options) -> Result<Connection> {
        Ok(Connection::Context(options.context))
    }

    fn images_via(options: Options) -> Result<ImageRoute> {
        Ok(match made_by(&options)? {
            Provisioner::Kubeadm => ImageRoute::SharedDaemon,
            Provisioner::Kind(_) => ImageRoute::SideLoad,
        })
    }

    fn missing_images(options: Options, images: Vec<Image>) -> Result<Vec<Image>> {
        match made_by(&options)? {
            Provisioner::Kubeadm => engine::missing(images),
            Provisioner::Kind(nodes) => {
                store::missing(&nodes, Runtime::Containerd, images).map_err(provisioner::hidden)
            }
        }
    }

    /// A node of `kubeadm` runs the engine's own images: being there is being delivered.
    fn deliver_images(options: Options, images: Vec<Image>) -> Result<Vec<Delivered>> {
        if let Provisioner::Kind(nodes) = made_by(&options)? {
            return store::bring(&nodes, Runtime::Containerd, images).map_err(provisioner::hidden);
        }
        let missing = engine::missing(images.clone())?;
        if let Some(image) = missing.first() {
            return Err(Error::not_found(
                "docker-desktop.image-missing",
                format!("the engine does not have the image {}", image.reference),
            )
            .because(missing.iter().skip(1).map(|image| format!("nor {}", image.reference)))
            .help("it was removed after it was built: run the deploy again, it will build it"));
        }
        let there = |image: Image| Delivered {
            reference: image.reference,
            already_there: true,
            bytes_sent: 0,
        };
        Ok(images.into_iter().map(there).collect())
    }

    /// Where nodes have stores of their own the engine's copies stay: another cluster may run them.
    fn remove_images(options: Options, images: Vec<Image>) -> Result<Vec<String>> {
        match made_by(&options)? {
            Provisioner::Kubeadm => engine::remove(&images),
            Provisioner::Kind(nodes) => {
                store::remove(&nodes, Runtime::Containerd, &images).map_err(provisioner::hidden)
            }
        }
    }

    /// Docker Desktop opens the node ports of `kubeadm` on this machine, but those that a container has already; those of
    /// `kind` end inside of its network.
    fn reach_service(options: Options, service: Service) -> Result<Reach> {
        let Some(port) = service.node_port else { return Ok(Reach::PortForward) };
        if let Provisioner::Kind(_) = made_by(&options)? {
            return Ok(Reach::PortForward);
        }
        let Some(container) = engine::publisher(port) else {
            return Ok(Reach::Url(format!("http://localhost:{port}")));
        };
        log::warn(&format!(
            "port {port} of this machine leads to the container {container}, not to Docker Desktop's cluster"
        ));
        Ok(Reach::PortForward)
    }

    fn teardown(_options: Options) -> Result<()> {
        Err(Error::unsupported(
            "docker-desktop.not-ours",
            "Docker Desktop makes its Kubernetes itself, and only it takes it away",
        )
        .help(
            "Docker Desktop, Settings, Kubernetes: \"Reset Kubernetes Cluster\" empties it, \"Enable Kubernetes\" \
             switches it off; `todohost delete` takes the app away",
        ))
    }
}

fn made_by(options: &Options) -> Result<Provisioner> {
    let contexts = workspace::contexts()?;
    let context = contexts.iter().find(|context| context.name == options.context);
    Ok(provisioner::of(settings::read()?.as_ref(), context))
}

todohost_plugin::export!(DockerDesktop: target);

//! The target `docker-desktop`: the Kubernetes of Docker Desktop, by either of its provisioners.

mod desktop;
mod provisioner;
mod recognise;
mod settings;
mod status;

use desktop::Desktop;
use provisioner::Provisioner;
use recognise::CONTEXT;
use serde::Deserialize;
use status::Observed;
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
        let desktop = if is_stopped && matters { desktop::detect() } else { Desktop::Unknown };
        let (wanted, engine, settings) = (options.context.as_str(), &engine, settings.as_ref());
        let status = status::of(&Observed { wanted, context, settings, engine, desktop });
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
            // The host waits for a cluster that is starting.
            State::Ready | State::Starting => Ok(status),
            State::Stopped => Err(status::switched_off()),
            _ => Err(status::absent(&wanted)),
        }
    }

    fn connect(options: Options) -> Result<Connection> {
        Ok(Connection::Context(options.context))
    }

    fn images_via(options: Options) -> Result<ImageRoute> {
        Ok(match provisioner_of(&options)? {
            Provisioner::Kubeadm => ImageRoute::SharedDaemon,
            Provisioner::Kind(_) => ImageRoute::SideLoad,
        })
    }

    fn missing_images(options: Options, images: Vec<Image>) -> Result<Vec<Image>> {
        match provisioner_of(&options)? {
            Provisioner::Kubeadm => engine::missing(images),
            Provisioner::Kind(nodes) => store::missing(&nodes, Runtime::Containerd, images)
                .map_err(provisioner::explain_hidden_nodes),
        }
    }

    /// A node of `kubeadm` runs the engine's images, so each image of the engine counts as delivered.
    fn deliver_images(options: Options, images: Vec<Image>) -> Result<Vec<Delivered>> {
        if let Provisioner::Kind(nodes) = provisioner_of(&options)? {
            return store::deliver(&nodes, Runtime::Containerd, images)
                .map_err(provisioner::explain_hidden_nodes);
        }
        let missing = engine::missing(images.clone())?;
        if let Some(image) = missing.first() {
            return Err(Error::not_found(
                "docker-desktop.image-missing",
                format!("the engine does not have the image {}", image.reference),
            )
            .because(
                missing.iter().skip(1).map(|image| format!("also missing: {}", image.reference)),
            )
            .help("the image was deleted after its build; run the deploy again to build it"));
        }
        let there = |image: Image| Delivered {
            reference: image.reference,
            already_there: true,
            bytes_sent: 0,
        };
        Ok(images.into_iter().map(there).collect())
    }

    /// Nodes of `kind` have their own image store. The engine's copies stay, because another cluster may use them.
    fn remove_images(options: Options, images: Vec<Image>) -> Result<Vec<String>> {
        match provisioner_of(&options)? {
            Provisioner::Kubeadm => engine::remove(&images),
            Provisioner::Kind(nodes) => store::remove(&nodes, Runtime::Containerd, &images)
                .map_err(provisioner::explain_hidden_nodes),
        }
    }

    /// Docker Desktop publishes the node ports of `kubeadm` on this machine, except those that a container already
    /// uses. It does not publish the node ports of `kind`.
    fn reach_service(options: Options, service: Service) -> Result<Reach> {
        let Some(port) = service.node_port else { return Ok(Reach::PortForward) };
        if let Provisioner::Kind(_) = provisioner_of(&options)? {
            return Ok(Reach::PortForward);
        }
        let Some(container) = engine::publisher(port) else {
            return Ok(Reach::Url(format!("http://localhost:{port}")));
        };
        log::warn(&format!(
            "port {port} of this machine belongs to the container {container}, not to Docker Desktop's cluster"
        ));
        Ok(Reach::PortForward)
    }

    fn teardown(_options: Options) -> Result<()> {
        Err(Error::unsupported(
            "docker-desktop.not-ours",
            "only Docker Desktop can delete its cluster",
        )
        .help(
            "in Docker Desktop, Settings, Kubernetes, choose \"Reset Kubernetes Cluster\" to empty the cluster, or \
             switch \"Enable Kubernetes\" off; `todohost delete` deletes only the app",
        ))
    }
}

fn provisioner_of(options: &Options) -> Result<Provisioner> {
    let contexts = workspace::contexts()?;
    let context = contexts.iter().find(|context| context.name == options.context);
    Ok(provisioner::of(settings::read()?.as_ref(), context))
}

todohost_plugin::export!(DockerDesktop: target);

//! The target `docker-desktop`: Kubernetes as Docker Desktop brings it, on the engine whose images it shares.

mod recognise;
mod status;

use recognise::CONTEXT;
use serde::Deserialize;
use todohost_docker_engine as engine;
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
        Ok(status::of(&options.context, &contexts, &engine::ask()?))
    }

    fn ensure(options: Options) -> Result<Status> {
        engine::require()?;
        let wanted = options.context.clone();
        let status = Self::detect(options)?;
        if status.state == State::Ready { Ok(status) } else { Err(status::absent(&wanted)) }
    }

    fn connect(options: Options) -> Result<Connection> {
        Ok(Connection::Context(options.context))
    }

    fn images_via(_options: Options) -> Result<ImageRoute> {
        Ok(ImageRoute::SharedDaemon)
    }

    fn missing_images(_options: Options, images: Vec<Image>) -> Result<Vec<Image>> {
        engine::missing(images)
    }

    /// The nodes run the engine's own images: being there is being delivered.
    fn deliver_images(_options: Options, images: Vec<Image>) -> Result<Vec<Delivered>> {
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

    fn remove_images(_options: Options, images: Vec<Image>) -> Result<Vec<String>> {
        engine::remove(&images)
    }

    /// Docker Desktop opens node ports on this machine, but those that a container has already.
    fn reach_service(_options: Options, service: Service) -> Result<Reach> {
        let Some(port) = service.node_port else { return Ok(Reach::PortForward) };
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

todohost_plugin::export!(DockerDesktop: target);

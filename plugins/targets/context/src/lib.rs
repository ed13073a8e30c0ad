//! The target `context`: any cluster with a context in the kubeconfig.
//!
//! The host uses it only if the user names it. A loopback address can be a tunnel to another machine, so a context
//! never counts as local. The target does not create, start or delete clusters.

mod registry;

use serde::Deserialize;
use todohost_docker_engine as engine;
use todohost_plugin::target::{Connection, Delivered, ImageRoute, Reach, Service, State, Status};
use todohost_plugin::workspace::{self, Context};
use todohost_plugin::{Error, Image, Result, Target};

struct AnyContext;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Options {
    context: Option<String>,
    images_via: ImagesVia,
}

/// Delivery of built images to the cluster.
#[derive(Debug, Deserialize, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
enum ImagesVia {
    /// Images are not delivered.
    #[default]
    Nothing,
    /// Images are pushed to the registry in their names.
    Registry,
    /// The cluster runs the images of the Docker engine.
    SharedDaemon,
}

impl Options {
    fn context(&self) -> Result<&str> {
        self.context.as_deref().ok_or_else(|| {
            Error::invalid_input("context.not-named", "the target `context` has no option `context`")
                .help(
                    "set it in todohost.toml, e.g. [targets.lab] plugin = \"context\", options = { context = \"lab\" }, \
                     and deploy with --target lab; `kubectl config get-contexts` lists your contexts",
                )
        })
    }
}

impl Target for AnyContext {
    type Options = Options;

    fn detect(options: Options) -> Result<Status> {
        Ok(status(options.context.as_deref(), &workspace::contexts()?))
    }

    fn ensure(options: Options) -> Result<Status> {
        let wanted = options.context()?.to_owned();
        let status = Self::detect(options)?;
        if status.state == State::Ready {
            return Ok(status);
        }
        Err(Error::unavailable(
            "context.missing",
            format!("your kubeconfig has no context {wanted}"),
        )
        .help("`kubectl config get-contexts` lists your contexts; export KUBECONFIG=FILE selects another file"))
    }

    fn connect(options: Options) -> Result<Connection> {
        Ok(Connection::Context(options.context()?.to_owned()))
    }

    fn images_via(options: Options) -> Result<ImageRoute> {
        match options.images_via {
            ImagesVia::Nothing => Err(no_image_route(&options)),
            ImagesVia::Registry => Ok(ImageRoute::Registry),
            ImagesVia::SharedDaemon => Ok(ImageRoute::SharedDaemon),
        }
    }

    fn missing_images(options: Options, images: Vec<Image>) -> Result<Vec<Image>> {
        match options.images_via {
            ImagesVia::Nothing => Err(no_image_route(&options)),
            ImagesVia::Registry => registry::missing(images),
            ImagesVia::SharedDaemon => engine::missing(images),
        }
    }

    fn deliver_images(options: Options, images: Vec<Image>) -> Result<Vec<Delivered>> {
        match options.images_via {
            ImagesVia::Registry => registry::push(images),
            // The host reads the route first, and does not deliver images to a cluster that shares the engine.
            ImagesVia::Nothing | ImagesVia::SharedDaemon => Err(no_image_route(&options)),
        }
    }

    /// Pushed images stay in their registry.
    fn remove_images(options: Options, images: Vec<Image>) -> Result<Vec<String>> {
        match options.images_via {
            ImagesVia::SharedDaemon => engine::remove(&images),
            ImagesVia::Nothing | ImagesVia::Registry => Ok(Vec::new()),
        }
    }

    /// If the API server is at a loopback address, node ports may be, too. The host verifies the URL before it shows
    /// it.
    fn reach_service(options: Options, service: Service) -> Result<Reach> {
        let wanted = options.context()?;
        let here = workspace::contexts()?
            .iter()
            .any(|context| context.name == wanted && context.is_loopback());
        Ok(match service.node_port {
            Some(port) if here => Reach::Url(format!("http://localhost:{port}")),
            _ => Reach::PortForward,
        })
    }

    fn teardown(options: Options) -> Result<()> {
        let context = options.context()?;
        Err(Error::unsupported(
            "context.not-ours",
            format!("this target did not create the cluster of the context {context}"),
        )
        .help(
            "delete the cluster with the tool that created it; `todohost delete` deletes only the app",
        ))
    }
}

/// Status from the kubeconfig alone. The host contacts the API server when it connects.
fn status(wanted: Option<&str>, contexts: &[Context]) -> Status {
    let Some(wanted) = wanted else {
        return Status::new(
            State::Absent,
            "no context named; set one in todohost.toml, [targets.NAME]",
        );
    };
    match contexts.iter().find(|context| context.name == wanted) {
        None => Status::new(State::Absent, format!("the kubeconfig has no context {wanted}")),
        Some(context) if context.is_loopback() => Status::new(
            State::Ready,
            format!("context {wanted} at {}: this machine or a tunnel", context.host()),
        ),
        Some(context) => Status::new(
            State::Ready,
            format!("context {wanted} at {}, not this machine", context.host()),
        ),
    }
}

fn no_image_route(options: &Options) -> Error {
    let context = options.context.as_deref().unwrap_or_default();
    Error::unsupported(
        "context.no-image-route",
        format!("cannot deliver built images to the context {context}"),
    )
    .help(
        "set an option of the target: imagesVia = \"registry\" pushes images to the registry in their names, \
         imagesVia = \"shared-daemon\" is for clusters that run the Docker engine's images",
    )
}

todohost_plugin::export!(AnyContext: target);

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts() -> Vec<Context> {
        let context = |name: &str, server: &str| Context {
            name: name.into(),
            cluster: name.into(),
            server: server.into(),
        };
        vec![context("lab", "https://lab.example:6443"), context("here", "https://127.0.0.1:6443")]
    }

    #[test]
    fn context_is_never_local() {
        for name in ["lab", "here"] {
            let status = status(Some(name), &contexts());
            assert_eq!((status.state, status.local), (State::Ready, false), "{name}");
        }
        let detail = |name| status(Some(name), &contexts()).detail.unwrap();
        assert!(detail("lab").contains("lab.example, not this machine"));
        assert!(detail("here").contains("tunnel"));
    }

    #[test]
    fn missing_context_is_absent_without_offer() {
        for name in [None, Some("gone")] {
            let status = status(name, &contexts());
            assert_eq!((status.state, status.offer), (State::Absent, None));
        }
        assert_eq!(Options::default().context().unwrap_err().code, "context.not-named");
    }

    #[test]
    fn missing_image_route_is_reported_before_the_build() {
        let asked = AnyContext::missing_images(Options::default(), Vec::new());
        assert_eq!(asked.unwrap_err().code, "context.no-image-route");
    }
}

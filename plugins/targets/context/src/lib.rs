//! The target `context`: a cluster of which nothing is known but a context of the kubeconfig.
//!
//! It is used only where it is named: an address of this machine may as well be the end of a tunnel to somewhere else,
//! so that no context is ever local enough to be chosen by itself. Nothing is started, created or taken away.

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

/// How built images get to the cluster.
#[derive(Debug, Deserialize, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
enum ImagesVia {
    /// Not at all.
    #[default]
    Nothing,
    /// Through the registry that their names begin with.
    Registry,
    /// The cluster runs what the engine has.
    SharedDaemon,
}

impl Options {
    fn context(&self) -> Result<&str> {
        self.context.as_deref().ok_or_else(|| {
            Error::invalid_input("context.not-named", "the target `context` does not say which one")
                .help(
                    "name it in todohost.toml, e.g. [targets.lab] plugin = \"context\", options = { context = \"lab\" }, \
                     and deploy with --target lab; `kubectl config get-contexts` lists them",
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
            format!("there is no context {wanted} in your kubeconfig"),
        )
        .help("`kubectl config get-contexts` lists those that there are; another file: export KUBECONFIG=FILE"))
    }

    fn connect(options: Options) -> Result<Connection> {
        Ok(Connection::Context(options.context()?.to_owned()))
    }

    fn images_via(options: Options) -> Result<ImageRoute> {
        match options.images_via {
            ImagesVia::Nothing => Err(no_way(&options)),
            ImagesVia::Registry => Ok(ImageRoute::Registry),
            ImagesVia::SharedDaemon => Ok(ImageRoute::SharedDaemon),
        }
    }

    fn missing_images(options: Options, images: Vec<Image>) -> Result<Vec<Image>> {
        match options.images_via {
            ImagesVia::Nothing => Err(no_way(&options)),
            ImagesVia::Registry => registry::missing(images),
            ImagesVia::SharedDaemon => engine::missing(images),
        }
    }

    fn deliver_images(options: Options, images: Vec<Image>) -> Result<Vec<Delivered>> {
        match options.images_via {
            ImagesVia::Registry => registry::push(images),
            // The host asks for the route first, and delivers nothing where the engine is shared.
            ImagesVia::Nothing | ImagesVia::SharedDaemon => Err(no_way(&options)),
        }
    }

    /// What was pushed to a registry is the registry's to keep.
    fn remove_images(options: Options, images: Vec<Image>) -> Result<Vec<String>> {
        match options.images_via {
            ImagesVia::SharedDaemon => engine::remove(&images),
            ImagesVia::Nothing | ImagesVia::Registry => Ok(Vec::new()),
        }
    }

    /// Where the API server answers on this machine, node ports may, too; the host looks before it says so.
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
            format!("nothing behind the context {context} was made by this target"),
        )
        .help(
            "delete the cluster with the tool that made it; `todohost delete` takes the app away",
        ))
    }
}

/// What the kubeconfig says; whether the API server answers, the host sees when it connects.
fn status(wanted: Option<&str>, contexts: &[Context]) -> Status {
    let Some(wanted) = wanted else {
        return Status::new(State::Absent, "none is named: [targets.NAME] in todohost.toml does");
    };
    match contexts.iter().find(|context| context.name == wanted) {
        None => Status::new(State::Absent, format!("the kubeconfig has no context {wanted}")),
        Some(context) if context.is_loopback() => Status::new(
            State::Ready,
            format!("context {wanted} at {}: this machine, or a tunnel from it", context.host()),
        ),
        Some(context) => Status::new(
            State::Ready,
            format!("context {wanted} at {}, not this machine", context.host()),
        ),
    }
}

fn no_way(options: &Options) -> Error {
    let context = options.context.as_deref().unwrap_or_default();
    Error::unsupported(
        "context.no-image-route",
        format!("nothing is known that brings built images to the context {context}"),
    )
    .help(
        "say it in the target's options: imagesVia = \"registry\" pushes them to the registry that their names begin \
         with, imagesVia = \"shared-daemon\" is for clusters that run the Docker engine's own images",
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
    fn no_context_is_ever_local() {
        for name in ["lab", "here"] {
            let status = status(Some(name), &contexts());
            assert_eq!((status.state, status.local), (State::Ready, false), "{name}");
        }
        let detail = |name| status(Some(name), &contexts()).detail.unwrap();
        assert!(detail("lab").contains("lab.example, not this machine"));
        assert!(detail("here").contains("tunnel"));
    }

    #[test]
    fn what_is_not_there_is_told_and_nothing_is_offered() {
        for name in [None, Some("gone")] {
            let status = status(name, &contexts());
            assert_eq!((status.state, status.offer), (State::Absent, None));
        }
        assert_eq!(Options::default().context().unwrap_err().code, "context.not-named");
    }

    #[test]
    fn without_a_way_for_images_none_is_built_in_vain() {
        let asked = AnyContext::missing_images(Options::default(), Vec::new());
        assert_eq!(asked.unwrap_err().code, "context.no-image-route");
    }
}

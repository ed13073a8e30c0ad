//! What the contexts and the engine say together.

use crate::recognise;
use todohost_docker_engine::Engine;
use todohost_plugin::Error;
use todohost_plugin::target::{State, Status};
use todohost_plugin::workspace::Context;

/// The target's state. An engine that answers and a context that is there are as far as a cheap look goes: whether
/// the API server answers, the host sees when it connects.
pub fn of(wanted: &str, contexts: &[Context], engine: &Engine) -> Status {
    let context = contexts.iter().find(|context| context.name == wanted);
    let local = context.is_some_and(recognise::is_local);
    let status = match (context, engine) {
        (None, Engine::Missing) => Status::new(State::Absent, "Docker is not installed"),
        (None, Engine::Stopped { .. }) => Status::new(
            State::Absent,
            format!("no context {wanted}; the Docker engine is not running"),
        ),
        (None, Engine::Running(_)) => Status::new(
            State::Absent,
            format!("no context {wanted}: Kubernetes is not enabled in Docker Desktop"),
        ),
        (Some(_), Engine::Missing) => {
            Status::new(State::Stopped, format!("context {wanted}, but Docker is not installed"))
        }
        (Some(_), Engine::Stopped { .. }) => {
            Status::new(State::Stopped, "the Docker engine is not running")
        }
        (Some(context), Engine::Running(facts)) => {
            let place = if local {
                String::new()
            } else {
                format!(", not on this machine ({})", context.server)
            };
            Status::new(State::Ready, format!("context {wanted}, engine {}{place}", facts.version))
        }
    };
    status.local(local)
}

/// The engine runs, but its Kubernetes is not there.
pub fn absent(context: &str) -> Error {
    Error::unavailable("docker-desktop.absent", format!("there is no context {context} in your kubeconfig"))
        .help(
            "enable Kubernetes: Docker Desktop, Settings, Kubernetes, `Enable Kubernetes`, Apply. It is ready when \
             `kubectl config get-contexts` lists docker-desktop. Without Docker Desktop, use `--target kind`",
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use todohost_docker_engine::Facts;

    fn context(server: &str) -> Vec<Context> {
        vec![Context {
            name: "docker-desktop".into(),
            cluster: "docker-desktop".into(),
            server: server.into(),
        }]
    }

    fn running() -> Engine {
        Engine::Running(Facts {
            version: "28.0.4".into(),
            desktop: true,
            platform: "linux/amd64".into(),
        })
    }

    fn stopped() -> Engine {
        Engine::Stopped { os: None, cause: "refused".into() }
    }

    #[test]
    fn ready_is_a_context_and_an_engine() {
        let status =
            of("docker-desktop", &context("https://kubernetes.docker.internal:6443"), &running());
        assert_eq!((status.state, status.local), (State::Ready, true));
    }

    #[test]
    fn a_context_that_leads_elsewhere_is_never_local() {
        let status = of("docker-desktop", &context("https://10.1.2.3:6443"), &running());
        assert_eq!((status.state, status.local), (State::Ready, false));
        assert!(status.detail.unwrap().contains("not on this machine"));
    }

    #[test]
    fn what_is_missing_is_told_apart() {
        assert_eq!(of("docker-desktop", &[], &running()).state, State::Absent);
        assert_eq!(of("docker-desktop", &[], &Engine::Missing).state, State::Absent);
        let stopped = of("docker-desktop", &context("127.0.0.1"), &stopped());
        assert_eq!((stopped.state, stopped.local), (State::Stopped, true));
        assert!(absent("docker-desktop").help.unwrap().contains("Enable Kubernetes"));
    }
}

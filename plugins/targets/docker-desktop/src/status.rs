//! Status of the target, from the contexts, the settings and the engine.

use crate::desktop::Desktop;
use crate::provisioner::Provisioner;
use crate::recognise;
use crate::settings::Settings;
use todohost_docker_engine::Engine;
use todohost_plugin::Error;
use todohost_plugin::target::{State, Status};
use todohost_plugin::workspace::Context;

/// Observations for the status.
pub struct Observed<'a> {
    /// Name of the configured context.
    pub wanted: &'a str,
    /// The context, if it is in the kubeconfig.
    pub context: Option<&'a Context>,
    /// Settings of Docker Desktop, if they were found.
    pub settings: Option<&'a Settings>,
    /// State of the engine.
    pub engine: &'a Engine,
    /// Status of Docker Desktop, read if its engine does not answer.
    pub desktop: Desktop,
}

/// Status of the target. A running engine and an existing context count as ready; the host contacts the API server when
/// it connects.
pub fn of(seen: &Observed<'_>) -> Status {
    let wanted = seen.wanted;
    let local = seen.context.is_some_and(recognise::is_local);
    let enabled = seen.settings.and_then(|settings| settings.enabled);
    let stopped = || match seen.desktop {
        Desktop::Starting => Status::new(State::Starting, "Docker Desktop is starting"),
        Desktop::Stopped => Status::new(State::Stopped, "the Docker engine is not running")
            .offer("start Docker Desktop"),
        Desktop::Unknown => Status::new(State::Stopped, "the Docker engine is not running"),
    };
    let status = match (seen.context, seen.engine) {
        (None, Engine::Missing) => Status::new(State::Absent, "Docker is not installed"),
        (None, Engine::Stopped { .. }) if enabled == Some(true) => stopped(),
        (None, Engine::Stopped { .. }) => Status::new(
            State::Absent,
            format!("no context {wanted}; the Docker engine is not running"),
        ),
        (None, Engine::Running(_)) if enabled == Some(true) => {
            Status::new(State::Starting, "Kubernetes is enabled and is not up yet")
        }
        (None, Engine::Running(_)) => Status::new(
            State::Absent,
            format!("no context {wanted}: Kubernetes is not enabled in Docker Desktop"),
        ),
        (Some(_), Engine::Missing) => {
            Status::new(State::Stopped, format!("context {wanted}, but Docker is not installed"))
        }
        (Some(_), Engine::Stopped { .. }) => stopped(),
        (Some(_), Engine::Running(_)) if enabled == Some(false) => Status::new(
            State::Stopped,
            format!("context {wanted}, but Kubernetes is switched off in Docker Desktop"),
        ),
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

/// Adds the facts about an existing cluster to its status.
pub fn with_facts(
    status: Status,
    provisioner: &Provisioner,
    settings: Option<&Settings>,
    engine: &Engine,
) -> Status {
    let status = status.mode(provisioner.name());
    let is_desktops = matches!(engine, Engine::Running(facts) if facts.desktop);
    let status = match provisioner {
        Provisioner::Kind(nodes) => status.runtime("containerd").nodes(nodes.clone()),
        Provisioner::Kubeadm if is_desktops => status.runtime("docker").nodes(["docker-desktop"]),
        Provisioner::Kubeadm => status,
    };
    let version = settings.and_then(|settings| settings.version.as_deref());
    let status = match (provisioner, version) {
        (Provisioner::Kind(_), Some(version)) if !version.is_empty() => {
            status.kubernetes_version(format!("v{}", version.trim_start_matches('v')))
        }
        _ => status,
    };
    // Settings prove that Docker Desktop is installed. Its cluster does not see images of another engine.
    let is_other = settings.is_some() && matches!(engine, Engine::Running(facts) if !facts.desktop);
    let other = "`docker` uses another engine than Docker Desktop's; run `docker context use desktop-linux`";
    status.warn(is_other.then_some(other))
}

/// The engine runs, but the context does not exist.
pub fn absent(context: &str) -> Error {
    Error::unavailable("docker-desktop.absent", format!("your kubeconfig has no context {context}"))
        .help(ENABLE)
}

/// The context exists, but Kubernetes is switched off.
pub fn switched_off() -> Error {
    Error::unavailable(
        "docker-desktop.switched-off",
        "Kubernetes is switched off in Docker Desktop",
    )
    .help(ENABLE)
}

const ENABLE: &str = "in Docker Desktop, Settings, Kubernetes, switch `Enable Kubernetes` on and press Apply, then wait until \
    `kubectl config get-contexts` lists docker-desktop; without Docker Desktop, use `--target kind`";

#[cfg(test)]
mod tests {
    use super::*;
    use todohost_docker_engine::Facts;

    fn context(server: &str) -> Context {
        let name = "docker-desktop".to_owned();
        Context { cluster: name.clone(), name, server: server.into() }
    }

    fn running(desktop: bool) -> Engine {
        Engine::Running(Facts { version: "28.0.4".into(), desktop, platform: "linux/amd64".into() })
    }

    fn stopped() -> Engine {
        Engine::Stopped { os: None, cause: "refused".into() }
    }

    fn enabled(enabled: bool) -> Settings {
        Settings { enabled: Some(enabled), ..Settings::default() }
    }

    fn status_for(
        context: Option<&Context>,
        settings: Option<&Settings>,
        engine: &Engine,
        desktop: Desktop,
    ) -> Status {
        of(&Observed { wanted: "docker-desktop", context, settings, engine, desktop })
    }

    #[test]
    fn states_are_distinguished() {
        let here = context("kubernetes.docker.internal");
        let (on, off) = (enabled(true), enabled(false));
        let state = |context, settings, engine: &Engine, desktop| {
            let status = status_for(context, settings, engine, desktop);
            (status.state, status.offer.is_some())
        };
        let (runs, down) = (running(true), stopped());
        let unknown = Desktop::Unknown;
        assert_eq!(state(Some(&here), None, &runs, unknown), (State::Ready, false));
        assert_eq!(state(Some(&here), Some(&on), &runs, unknown), (State::Ready, false));
        assert_eq!(state(Some(&here), Some(&off), &runs, unknown), (State::Stopped, false));
        assert_eq!(state(None, Some(&on), &runs, unknown), (State::Starting, false));
        assert_eq!(state(None, Some(&off), &runs, unknown), (State::Absent, false));
        assert_eq!(state(None, None, &runs, unknown), (State::Absent, false));
        assert_eq!(state(Some(&here), None, &down, Desktop::Stopped), (State::Stopped, true));
        assert_eq!(state(Some(&here), None, &down, Desktop::Starting), (State::Starting, false));
        assert_eq!(state(Some(&here), None, &down, unknown), (State::Stopped, false));
        assert_eq!(state(None, Some(&on), &down, Desktop::Stopped), (State::Stopped, true));
        assert_eq!(state(None, None, &down, Desktop::Stopped), (State::Absent, false));
        assert_eq!(state(None, None, &Engine::Missing, unknown), (State::Absent, false));
        assert_eq!(state(Some(&here), None, &Engine::Missing, unknown), (State::Stopped, false));
    }

    #[test]
    fn context_of_another_machine_is_not_local() {
        let there = context("10.1.2.3");
        let status = status_for(Some(&there), None, &running(true), Desktop::Unknown);
        assert_eq!((status.state, status.local), (State::Ready, false));
        assert!(status.detail.unwrap().contains("not on this machine"));
    }

    #[test]
    fn runtime_and_nodes_depend_on_the_provisioner() {
        let status = || Status::new(State::Ready, "");
        let kubeadm = with_facts(status(), &Provisioner::Kubeadm, None, &running(true));
        assert_eq!(
            (kubeadm.mode.as_deref(), kubeadm.runtime.as_deref()),
            (Some("kubeadm"), Some("docker"))
        );
        assert_eq!(kubeadm.nodes, ["docker-desktop"]);
        let settings = Settings { version: Some("1.34.1".into()), ..Settings::default() };
        let provisioner = Provisioner::Kind(vec!["desktop-control-plane".into()]);
        let kind = with_facts(status(), &provisioner, Some(&settings), &running(true));
        assert_eq!(
            (kind.mode.as_deref(), kind.runtime.as_deref()),
            (Some("kind"), Some("containerd"))
        );
        assert_eq!(kind.kubernetes_version.as_deref(), Some("v1.34.1"));
        assert_eq!(kind.warnings, Vec::<String>::new());
    }

    #[test]
    fn engine_other_than_docker_desktop_is_a_warning() {
        let status = || Status::new(State::Ready, "");
        let settings = Settings::default();
        let other = with_facts(status(), &Provisioner::Kubeadm, Some(&settings), &running(false));
        assert!(other.warnings[0].contains("desktop-linux"), "{:?}", other.warnings);
        // Without settings, Docker Desktop may not be installed; the engine may then run the cluster itself.
        let unknown = with_facts(status(), &Provisioner::Kubeadm, None, &running(false));
        assert_eq!((unknown.warnings.len(), unknown.runtime), (0, None));
    }

    #[test]
    fn help_says_how_to_enable_kubernetes() {
        for error in [absent("docker-desktop"), switched_off()] {
            assert!(error.help.unwrap().contains("Enable Kubernetes"));
        }
    }
}

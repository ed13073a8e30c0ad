//! What the contexts, the settings and the engine say together.

use crate::desktop::Desktop;
use crate::provisioner::Provisioner;
use crate::recognise;
use crate::settings::Settings;
use todohost_docker_engine::Engine;
use todohost_plugin::Error;
use todohost_plugin::target::{State, Status};
use todohost_plugin::workspace::Context;

/// All that was found out.
pub struct Seen<'a> {
    /// The name of the context.
    pub wanted: &'a str,
    /// The context, where the kubeconfig has it.
    pub context: Option<&'a Context>,
    /// What Docker Desktop keeps about itself.
    pub settings: Option<&'a Settings>,
    /// Whether the engine answers.
    pub engine: &'a Engine,
    /// What Docker Desktop says of itself, where its engine does not answer.
    pub desktop: Desktop,
}

/// The target's state. An engine that answers and a context that is there are as far as a cheap look goes: whether
/// the API server answers, the host sees when it connects.
pub fn of(seen: &Seen<'_>) -> Status {
    let wanted = seen.wanted;
    let local = seen.context.is_some_and(recognise::is_local);
    let enabled = seen.settings.and_then(|settings| settings.enabled);
    let stopped = || match seen.desktop {
        Desktop::Starting => Status::new(State::Starting, "Docker Desktop is starting"),
        Desktop::Stopped => Status::new(State::Stopped, "the Docker engine is not running")
            .offer("start Docker Desktop"),
        Desktop::Silent => Status::new(State::Stopped, "the Docker engine is not running"),
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

/// What is known of a cluster that is there, beside its state.
pub fn with_facts(
    status: Status,
    provisioner: &Provisioner,
    settings: Option<&Settings>,
    engine: &Engine,
) -> Status {
    let status = status.mode(provisioner.word());
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
    // With its settings here, Docker Desktop is; then images of another engine are none of its cluster's.
    let is_other = settings.is_some() && matches!(engine, Engine::Running(facts) if !facts.desktop);
    let other =
        "`docker` speaks to another engine than Docker Desktop's: docker context use desktop-linux";
    status.warn(is_other.then_some(other))
}

/// The engine runs, but its Kubernetes is not there.
pub fn absent(context: &str) -> Error {
    Error::unavailable(
        "docker-desktop.absent",
        format!("there is no context {context} in your kubeconfig"),
    )
    .help(ENABLE)
}

/// The context is there, but Kubernetes was switched off.
pub fn switched_off() -> Error {
    Error::unavailable(
        "docker-desktop.switched-off",
        "Kubernetes is switched off in Docker Desktop",
    )
    .help(ENABLE)
}

const ENABLE: &str = "enable Kubernetes: Docker Desktop, Settings, Kubernetes, `Enable Kubernetes`, Apply. It is ready when \
    `kubectl config get-contexts` lists docker-desktop. Without Docker Desktop, use `--target kind`";

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

    fn told(
        context: Option<&Context>,
        settings: Option<&Settings>,
        engine: &Engine,
        desktop: Desktop,
    ) -> Status {
        of(&Seen { wanted: "docker-desktop", context, settings, engine, desktop })
    }

    #[test]
    fn each_state_is_told_apart() {
        let here = context("kubernetes.docker.internal");
        let (on, off) = (enabled(true), enabled(false));
        let state = |context, settings, engine: &Engine, desktop| {
            let status = told(context, settings, engine, desktop);
            (status.state, status.offer.is_some())
        };
        let (runs, down) = (running(true), stopped());
        let silent = Desktop::Silent;
        assert_eq!(state(Some(&here), None, &runs, silent), (State::Ready, false));
        assert_eq!(state(Some(&here), Some(&on), &runs, silent), (State::Ready, false));
        assert_eq!(state(Some(&here), Some(&off), &runs, silent), (State::Stopped, false));
        assert_eq!(state(None, Some(&on), &runs, silent), (State::Starting, false));
        assert_eq!(state(None, Some(&off), &runs, silent), (State::Absent, false));
        assert_eq!(state(None, None, &runs, silent), (State::Absent, false));
        assert_eq!(state(Some(&here), None, &down, Desktop::Stopped), (State::Stopped, true));
        assert_eq!(state(Some(&here), None, &down, Desktop::Starting), (State::Starting, false));
        assert_eq!(state(Some(&here), None, &down, silent), (State::Stopped, false));
        assert_eq!(state(None, Some(&on), &down, Desktop::Stopped), (State::Stopped, true));
        assert_eq!(state(None, None, &down, Desktop::Stopped), (State::Absent, false));
        assert_eq!(state(None, None, &Engine::Missing, silent), (State::Absent, false));
        assert_eq!(state(Some(&here), None, &Engine::Missing, silent), (State::Stopped, false));
    }

    #[test]
    fn a_context_that_leads_elsewhere_is_never_local() {
        let there = context("10.1.2.3");
        let status = told(Some(&there), None, &running(true), Desktop::Silent);
        assert_eq!((status.state, status.local), (State::Ready, false));
        assert!(status.detail.unwrap().contains("not on this machine"));
    }

    #[test]
    fn the_provisioners_differ_in_what_runs_containers_and_where() {
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
    fn another_engine_beside_docker_desktop_is_told() {
        let status = || Status::new(State::Ready, "");
        let settings = Settings::default();
        let told = with_facts(status(), &Provisioner::Kubeadm, Some(&settings), &running(false));
        assert!(told.warnings[0].contains("desktop-linux"), "{:?}", told.warnings);
        // Where nothing tells that Docker Desktop is here, nothing is known of whose cluster it is.
        let told = with_facts(status(), &Provisioner::Kubeadm, None, &running(false));
        assert_eq!((told.warnings.len(), told.runtime), (0, None));
    }

    #[test]
    fn what_to_do_is_told() {
        for error in [absent("docker-desktop"), switched_off()] {
            assert!(error.help.unwrap().contains("Enable Kubernetes"));
        }
    }
}

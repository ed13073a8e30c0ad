//! Kubeconfigs: which contexts there are, and a client made from one of them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::sync::Semaphore;

use super::discovery::Discovery;
use super::error::Cause;
use super::transport::{Answers, Call, reason_of};
use super::{Client, ClusterError, PARALLEL_REQUESTS, Shared, Timeouts, Version};

/// The source of a client's configuration.
#[derive(Clone)]
pub enum Connection {
    /// A context of the user's kubeconfig.
    Context(String),
    /// The text of a kubeconfig, whose current context is used. It may hold keys: never shown.
    Kubeconfig(String),
}

/// A context of the user's kubeconfig; nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ContextInfo {
    /// Name of the context.
    pub name: String,
    /// Name of the cluster in it.
    pub cluster: String,
    /// The API server's address.
    pub server: String,
    /// It is the current one.
    pub current: bool,
}

/// The contexts of the kubeconfig files, in the files' order; no file at all gives none.
///
/// # Errors
/// `BadKubeconfig` if a file exists but cannot be read.
pub fn contexts(files: &[PathBuf]) -> Result<Vec<ContextInfo>, ClusterError> {
    Ok(read(files)?.map_or_else(Vec::new, |config| contexts_of(&config)))
}

fn contexts_of(config: &Kubeconfig) -> Vec<ContextInfo> {
    let current = config.current_context.as_deref();
    config
        .contexts
        .iter()
        .map(|named| {
            let cluster =
                named.context.as_ref().map(|context| context.cluster.clone()).unwrap_or_default();
            let server = config
                .clusters
                .iter()
                .find(|candidate| candidate.name == cluster)
                .and_then(|found| found.cluster.as_ref()?.server.clone())
                .unwrap_or_default();
            let current = current == Some(named.name.as_str());
            ContextInfo { name: named.name.clone(), cluster, server, current }
        })
        .collect()
}

/// All files merged as kubectl merges them: the first file that sets a field wins.
fn read(files: &[PathBuf]) -> Result<Option<Kubeconfig>, ClusterError> {
    let mut merged: Option<Kubeconfig> = None;
    for file in files.iter().filter(|file| file.exists()) {
        let config = Kubeconfig::read_from(file).map_err(|error| bad(&origin(file), &error))?;
        merged = Some(match merged {
            Some(before) => before.merge(config).map_err(|error| bad(&origin(file), &error))?,
            None => config,
        });
    }
    Ok(merged)
}

fn origin(file: &Path) -> String {
    file.display().to_string()
}

fn bad(origin: &str, error: &(dyn std::error::Error + 'static)) -> ClusterError {
    ClusterError::BadKubeconfig { origin: origin.to_owned(), cause: Cause::of(error) }
}

impl Client {
    /// Connects and asks for the version, so that a client in hand is a cluster that answered.
    /// `files` are those of `KUBECONFIG`, else `~/.kube/config`.
    ///
    /// # Errors
    /// No kubeconfig, context missing, unreachable, unauthorised: each its own variant.
    pub async fn connect(
        connection: &Connection,
        files: &[PathBuf],
        timeouts: Timeouts,
    ) -> Result<Self, ClusterError> {
        let (kubeconfig, context, origin) = match connection {
            Connection::Context(context) => {
                let looked_at: Vec<_> = files.iter().map(|file| origin(file)).collect();
                let config = read(files)?.ok_or_else(|| ClusterError::NoKubeconfig {
                    looked_at: looked_at.join(", "),
                })?;
                (config, context.clone(), looked_at.join(", "))
            }
            Connection::Kubeconfig(text) => {
                let origin = "of the target";
                let config = Kubeconfig::from_yaml(text).map_err(|error| bad(origin, &error))?;
                let context =
                    config.current_context.clone().ok_or_else(|| ClusterError::BadKubeconfig {
                        origin: origin.to_owned(),
                        cause: Cause::new("it has no current context"),
                    })?;
                (config, context, origin.to_owned())
            }
        };
        if !kubeconfig.contexts.iter().any(|named| named.name == context) {
            return Err(missing(&kubeconfig, context));
        }
        let options =
            KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| bad(&origin, &error))?;
        config.connect_timeout = Some(timeouts.connect);
        // The client has one retry policy for all requests, which knows the safe ones.
        config.default_retry = false;
        let server = config.cluster_url.to_string();
        let http = open(config, &context, &server, timeouts).await?;
        let client = Self {
            shared: Arc::new(Shared {
                http,
                context,
                server,
                version: OnceLock::new(),
                discovery: Discovery::default(),
                requests: Semaphore::new(PARALLEL_REQUESTS),
                lost: Mutex::default(),
            }),
            timeouts,
            stop: None,
        };
        let version = client.ask_version().await?;
        client.shared.version.get_or_init(|| version);
        Ok(client)
    }

    pub(super) async fn ask_version(&self) -> Result<Version, ClusterError> {
        let call = Call {
            answers: Answers::Contact,
            ..Call::get("/version".to_owned(), "report its version".to_owned())
        };
        self.call_for(&call).await
    }
}

/// Makes the HTTP client. Credential plugins of the kubeconfig run here, and they block.
async fn open(
    config: kube::Config,
    context: &str,
    server: &str,
    timeouts: Timeouts,
) -> Result<kube::Client, ClusterError> {
    let unauthorised = |cause| ClusterError::Unauthorised {
        context: context.to_owned(),
        server: server.to_owned(),
        cause,
    };
    let made = tokio::task::spawn_blocking(move || kube::Client::try_from(config));
    match tokio::time::timeout(timeouts.call, made).await {
        Ok(Ok(Ok(client))) => Ok(client),
        Ok(Ok(Err(error @ kube::Error::Auth(_)))) => Err(unauthorised(Cause::of(&error))),
        Ok(Ok(Err(error))) => Err(ClusterError::Unreachable {
            context: context.to_owned(),
            server: server.to_owned(),
            reason: reason_of(&error),
            cause: Cause::of(&error),
        }),
        Ok(Err(error)) => Err(unauthorised(Cause::of(&error))),
        Err(_) => {
            Err(unauthorised(Cause::new("the credential plugin of the kubeconfig does not end")))
        }
    }
}

fn missing(config: &Kubeconfig, context: String) -> ClusterError {
    let names: Vec<_> = config.contexts.iter().map(|named| named.name.as_str()).collect();
    let near = names
        .iter()
        .copied()
        .map(|name| (strsim::jaro_winkler(name, &context), name))
        .filter(|(nearness, _)| *nearness > 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    let there_are = if names.is_empty() {
        "the kubeconfig has no contexts: start a local cluster first".to_owned()
    } else {
        format!("there are: {}", names.join(", "))
    };
    let help = match near {
        Some((_, name)) => format!("did you mean `{name}`? {there_are}"),
        None => there_are,
    };
    ClusterError::ContextMissing { context, help }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(name: &str, server: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {name}\nclusters:\n- name: {name}\n  cluster: {{server: \"{server}\"}}\n\
             contexts:\n- name: {name}\n  context: {{cluster: {name}, user: {name}}}\nusers:\n- name: {name}\n  user: {{token: t0ken}}\n"
        )
    }

    async fn refused(connection: &Connection, files: &[PathBuf]) -> ClusterError {
        let timeouts = Timeouts::default();
        match Client::connect(connection, files, timeouts).await {
            Ok(_) => panic!("nothing should answer"),
            Err(error) => error,
        }
    }

    #[test]
    fn several_files_are_merged_and_the_first_wins() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        std::fs::write(&one, kubeconfig("alpha", "https://127.0.0.1:1")).unwrap();
        std::fs::write(&two, kubeconfig("beta", "https://127.0.0.1:2")).unwrap();
        let found = contexts(&[one, folder.path().join("absent"), two]).unwrap();
        let names: Vec<_> =
            found.iter().map(|context| (context.name.as_str(), context.current)).collect();
        assert_eq!(names, [("alpha", true), ("beta", false)]);
        assert_eq!(found[1].server, "https://127.0.0.1:2");
        assert_eq!(contexts(&[folder.path().join("absent")]).unwrap(), []);
    }

    #[tokio::test]
    async fn each_connection_failure_has_its_own_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let none = refused(&Connection::Context("x".into()), std::slice::from_ref(&file)).await;
        assert!(matches!(none, ClusterError::NoKubeconfig { .. }), "{none}");

        std::fs::write(&file, "contexts: 7").unwrap();
        let bad = refused(&Connection::Context("x".into()), std::slice::from_ref(&file)).await;
        assert!(matches!(bad, ClusterError::BadKubeconfig { .. }), "{bad}");

        std::fs::write(&file, kubeconfig("docker-lab", "https://127.0.0.1:1")).unwrap();
        let missing =
            refused(&Connection::Context("docker-lap".into()), std::slice::from_ref(&file)).await;
        let ClusterError::ContextMissing { help, .. } = &missing else { panic!("{missing}") };
        assert_eq!(help, "did you mean `docker-lab`? there are: docker-lab");

        let closed = refused(&Connection::Context("docker-lab".into()), &[file]).await;
        assert!(
            matches!(
                closed,
                ClusterError::Unreachable { reason: super::super::error::Unreachable::Refused, .. }
            ),
            "{closed:?}"
        );

        let text = kubeconfig("nowhere", "https://cluster.invalid:6443");
        let name = refused(&Connection::Kubeconfig(text), &[]).await;
        assert!(
            matches!(
                name,
                ClusterError::Unreachable { reason: super::super::error::Unreachable::Name, .. }
            ),
            "{name:?}"
        );
    }

    #[tokio::test]
    async fn a_server_without_tls_and_a_silent_one_have_their_own_errors() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            use tokio::io::AsyncWriteExt;
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        });
        let text = kubeconfig("plain", &format!("https://127.0.0.1:{port}"));
        let error = refused(&Connection::Kubeconfig(text), &[]).await;
        assert!(
            matches!(
                error,
                ClusterError::Unreachable { reason: super::super::error::Unreachable::Tls, .. }
            ),
            "{error:?}"
        );
        server.abort();

        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = silent.local_addr().unwrap().port();
        let text = kubeconfig("silent", &format!("http://127.0.0.1:{port}"));
        let timeouts =
            Timeouts { request: std::time::Duration::from_millis(200), ..Timeouts::default() };
        let error =
            Client::connect(&Connection::Kubeconfig(text), &[], timeouts).await.err().unwrap();
        assert!(
            matches!(
                error,
                ClusterError::Unreachable { reason: super::super::error::Unreachable::Timeout, .. }
            ),
            "{error:?}"
        );
    }
}

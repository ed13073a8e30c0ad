//! Whether the app answers: the probes that the verify step names, and where its services are open to the user.

use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use crate::event::Bus;
use crate::object::{Object, ObjectRef};
use crate::plan::Chosen;
use crate::plugin::wit::{target, verify};
use crate::run::error::RunError;
use crate::run::session::{Deadline, Session, lock};

/// A ready pod is not yet routed to everywhere: probes are tried again for this long.
const PROBES_WITHIN: Duration = Duration::from_secs(10);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const PROBE_PAUSE: Duration = Duration::from_millis(100);

impl Session {
    /// Makes the probes that the verify step names, all at the same time; gives their number.
    pub(super) async fn probe(
        &self,
        chosen: &Chosen,
        objects: &[Object],
        bus: &Bus,
    ) -> Result<usize, RunError> {
        let documents = objects
            .iter()
            .filter(|object| object["kind"] != "Secret")
            .map(ToString::to_string)
            .collect();
        let probes =
            self.verifier(chosen, bus)?.probes(chosen.options.to_string(), documents).await?;
        let count = probes.len();
        let results = join_all(probes.into_iter().map(|probe| self.one_probe(probe))).await;
        results.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(count)
    }

    async fn one_probe(&self, probe: verify::Probe) -> Result<(), RunError> {
        let client = &self.reached()?.client;
        let object = probe.object.clone().into();
        let until = Instant::now() + PROBES_WITHIN;
        loop {
            let asked = client.http_get(&object, probe.port, &probe.path, PROBE_TIMEOUT);
            let reason = match self.or_cancelled(asked).await {
                Ok(answer) if probe.expect_status.contains(&answer.status) => return Ok(()),
                Ok(answer) => {
                    let body = String::from_utf8_lossy(&answer.body);
                    let body: String =
                        self.vault().redact_output(&body).chars().take(200).collect();
                    format!("{} answers {} {body}", probe.path, answer.status)
                }
                Err(error) if error.is_cancelled() => return Err(error),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= until {
                return Err(RunError::Probe { title: probe.title, reason });
            }
            sleep(PROBE_PAUSE).await;
        }
    }

    /// Asks the target where the services that are open to the outside answer.
    pub(in crate::run) async fn find_addresses(&self, objects: &[Object], bus: &Bus) {
        let Ok(reached) = self.reached() else { return };
        let Ok(plugin) = self.plugin(&reached.target) else { return };
        let services = objects.iter().filter_map(open_service).collect::<Vec<_>>();
        let asked = services.into_iter().map(|service| {
            let (plugin, bus) = (plugin.clone(), bus.clone());
            async move {
                let context = self.context(bus, Deadline::Short, "reach");
                let options = reached.target.options.to_string();
                let hint = format!(
                    "kubectl --context {} --namespace {} port-forward service/{} {}:{}",
                    reached.client.context(),
                    service.namespace,
                    service.name,
                    service.port,
                    service.port
                );
                let reach = plugin.target(context).ok()?.reach_service(options, service).await;
                Some(match reach {
                    Ok(target::Reach::Url(url)) if answers(&url).await => url,
                    Ok(target::Reach::Url(url)) => {
                        format!("{url} (does not answer yet; or: {hint})")
                    }
                    _ => hint,
                })
            }
        });
        let found: Vec<String> = join_all(asked).await.into_iter().flatten().collect();
        lock(&self.addresses).extend(found);
    }
}

/// A service that is meant to be reached from outside the cluster, with its first port.
fn open_service(object: &Object) -> Option<target::Service> {
    let spec = object.get("spec")?;
    let is_open = matches!(spec["type"].as_str(), Some("NodePort" | "LoadBalancer"));
    if object["kind"] != "Service" || !is_open {
        return None;
    }
    let port = spec["ports"].as_array()?.first()?;
    let number = |value: &Value| value.as_u64().and_then(|number| u16::try_from(number).ok());
    let name = ObjectRef::of(object)?;
    Some(target::Service {
        namespace: name.namespace?,
        name: name.name,
        port: number(&port["port"])?,
        node_port: number(&port["nodePort"]),
    })
}

/// Whether anything speaks HTTP there; a pod that is ready is routed to within a moment.
async fn answers(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return false;
    };
    let request = format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n");
    let until = Instant::now() + Duration::from_secs(3);
    loop {
        let attempt = async {
            let mut stream = tokio::net::TcpStream::connect((host, port)).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut head = [0; 5];
            stream.read_exact(&mut head).await?;
            std::io::Result::Ok(&head == b"HTTP/")
        };
        if matches!(timeout(Duration::from_secs(2), attempt).await, Ok(Ok(true))) {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        sleep(PROBE_PAUSE).await;
    }
}

//! Further requests to the API server: logs, probes, node figures, permissions.

use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{AsyncBufReadExt, AsyncReadExt, StreamExt};
use http::Method;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use serde_json::{Value, json};

use super::transport::{Answers, Call, query, segment};
use super::{Client, ClusterError};
use todohost_model::object::{Object, ObjectRef};

/// Bytes of a log or a body that are kept.
const TEXT_LIMIT: usize = 1 << 20;

/// Largest part of a followed log that is read, in bytes.
const FOLLOWED_LIMIT: u64 = 8 << 20;

/// Which lines of a container to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRequest {
    pub pod: ObjectRef,
    /// Required if the pod has several containers.
    pub container: Option<String>,
    /// Of the run before the last restart.
    pub previous: bool,
    /// The last so many lines.
    pub tail_lines: u32,
}

/// The answer of a Service or Pod, through the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// HTTP status.
    pub status: u16,
    /// The body, cut at 1 MiB.
    pub body: Vec<u8>,
}

/// The usage of a container at a moment, as measured by its kubelet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerUsage {
    /// Name of the pod.
    pub pod: String,
    /// Distinguishes pods of the same name.
    pub pod_uid: String,
    /// Name of the container.
    pub container: String,
    /// Memory that cannot be taken back from it.
    pub memory_bytes: u64,
    /// Thousandths of a core.
    pub cpu_millis: u32,
}

impl Client {
    /// The last lines of a container, at most 1 MiB.
    ///
    /// # Errors
    /// If the container never started; errors of the connection.
    pub async fn logs(&self, request: &LogRequest) -> Result<String, ClusterError> {
        let pod = &request.pod;
        let parameters = query(&[
            ("container", request.container.as_deref().unwrap_or_default()),
            ("previous", if request.previous { "true" } else { "" }),
            ("tailLines", &request.tail_lines.to_string()),
            ("limitBytes", &TEXT_LIMIT.to_string()),
        ]);
        let call = Call {
            accept: "*/*",
            ..Call::get(
                format!("{}/log{parameters}", inside(pod, "pods")),
                format!("read the log of {pod}"),
            )
        }
        .about(pod);
        let answer = self.call(&call).await?;
        if answer.status != 200 {
            return Err(self.refusal(&call, &answer));
        }
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Streams the lines of a container from its first until it ends. A log that cannot be read is an empty stream.
    pub fn follow(&self, pod: &ObjectRef, container: &str) -> BoxStream<'static, String> {
        let namespace = pod.namespace.as_deref().unwrap_or("default");
        let pods: Api<Pod> = Api::namespaced(self.shared.http.clone(), namespace);
        let name = pod.name.clone();
        let wanted = LogParams {
            container: Some(container.to_owned()),
            follow: true,
            ..LogParams::default()
        };
        let opened = async move { pods.log_stream(&name, &wanted).await };
        let opened = stream::once(opened).filter_map(|log| std::future::ready(log.ok()));
        let lines = opened.flat_map(|log| log.take(FOLLOWED_LIMIT).lines());
        lines.scan((), |(), line| std::future::ready(line.ok())).boxed()
    }

    /// GET through the API server to a Service or Pod port.
    ///
    /// # Errors
    /// Errors of the connection. An answer with an error status is not an error.
    pub async fn http_get(
        &self,
        object: &ObjectRef,
        port: u16,
        path: &str,
        timeout: Duration,
    ) -> Result<HttpAnswer, ClusterError> {
        let plural = match object.kind.as_str() {
            "Service" => "services",
            "Pod" => "pods",
            _ => {
                return Err(ClusterError::Refused {
                    action: format!("ask {object} over HTTP"),
                    message: "only a Service or a Pod can be asked".to_owned(),
                    status: 400,
                });
            }
        };
        let base = inside(object, plural);
        let call = Call {
            accept: "*/*",
            answers: Answers::Foreign,
            ..Call::get(
                format!("{base}:{port}/proxy/{}", clean_path(path)),
                format!("ask {object} port {port} for {path}"),
            )
        }
        .about(object);
        let mut answer =
            tokio::time::timeout(timeout, self.call(&call)).await.unwrap_or_else(|_| {
                Err(ClusterError::Timeout { action: call.action.clone(), limit: timeout })
            })?;
        answer.body.truncate(TEXT_LIMIT);
        Ok(HttpAnswer { status: answer.status, body: answer.body })
    }

    /// The kubelet's summary of a node.
    ///
    /// # Errors
    /// If the node is unknown or does not answer.
    pub async fn node_summary(&self, node: &str) -> Result<Object, ClusterError> {
        let path = format!("/api/v1/nodes/{}/proxy/stats/summary", segment(node));
        self.call_for(&Call::get(path, format!("read the figures of node {node}"))).await
    }

    /// The current usage of a node's containers. The kubelet measures it for this answer, unlike for the whole summary.
    ///
    /// # Errors
    /// If the node is unknown, or the user is not allowed to read its figures.
    pub async fn pod_usage(&self, node: &str) -> Result<Vec<ContainerUsage>, ClusterError> {
        let path =
            format!("/api/v1/nodes/{}/proxy/stats/summary?only_cpu_and_memory=true", segment(node));
        let call = Call::get(path, format!("read the figures of node {node}"));
        Ok(usage_of(&self.call_for(&call).await?))
    }

    /// Is the user allowed? The verb `*` asks for all of them. A namespace means nothing for a kind that has none, but that
    /// the rights to a namespace itself may come from inside of it.
    ///
    /// # Errors
    /// Errors of the connection.
    pub async fn can_i(
        &self,
        verb: &str,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> Result<bool, ClusterError> {
        let kind = self.kind(api_version, kind).await?;
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let namespace = namespace.filter(|_| kind.namespaced || kind.kind == "Namespace");
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "verb": verb, "group": group, "version": version, "resource": kind.plural,
                "namespace": namespace.unwrap_or_default(),
            } }
        });
        let call = Call {
            method: Method::POST,
            body: review.to_string().into_bytes(),
            ..Call::get(
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews".to_owned(),
                format!("check if {verb} {} is allowed", kind.kind),
            )
        };
        let review: Value = self.call_for(&call).await?;
        Ok(review.pointer("/status/allowed").and_then(Value::as_bool).unwrap_or(false))
    }
}

fn usage_of(summary: &Value) -> Vec<ContainerUsage> {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut usage = Vec::new();
    for pod in list(summary, "pods") {
        for container in list(&pod, "containers") {
            let nanocores = container["cpu"]["usageNanoCores"].as_u64().unwrap_or_default();
            usage.push(ContainerUsage {
                pod: text(&pod["podRef"]["name"]),
                pod_uid: text(&pod["podRef"]["uid"]),
                container: text(&container["name"]),
                memory_bytes: container["memory"]["workingSetBytes"].as_u64().unwrap_or_default(),
                cpu_millis: u32::try_from(nanocores / 1_000_000).unwrap_or(u32::MAX),
            });
        }
    }
    usage
}

fn inside(object: &ObjectRef, plural: &str) -> String {
    let namespace = object.namespace.as_deref().unwrap_or("default");
    format!("/api/v1/namespaces/{}/{plural}/{}", segment(namespace), segment(&object.name))
}

/// A path that stays below the proxy: no step upwards, nothing that a URL cannot hold.
fn clean_path(path: &str) -> String {
    let (path, parameters) =
        path.split_once('?').map_or((path, None), |(path, rest)| (path, Some(rest)));
    let steps: Vec<_> = path
        .split('/')
        .filter(|step| !step.is_empty() && *step != "." && *step != "..")
        .map(segment)
        .collect();
    let mut clean = steps.join("/");
    if path.len() > 1 && path.ends_with('/') {
        clean.push('/');
    }
    if let Some(parameters) = parameters {
        clean.push('?');
        clean.extend(
            parameters
                .chars()
                .filter(|character| character.is_ascii_graphic() && *character != '#'),
        );
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_a_summary_that_may_lack_some() {
        let summary = json!({ "pods": [
            { "podRef": { "name": "web-1", "uid": "u1" }, "containers": [
                { "name": "web", "cpu": { "usageNanoCores": 98_700_000 }, "memory": { "workingSetBytes": 4096 } },
                { "name": "new" },
            ] },
            { "podRef": { "name": "empty" } },
        ] });
        let usage = usage_of(&summary);
        assert_eq!((usage[0].memory_bytes, usage[0].cpu_millis), (4096, 98));
        assert_eq!((usage[1].container.as_str(), usage[1].memory_bytes), ("new", 0));
        assert_eq!(usage.len(), 2);
    }

    #[test]
    fn probe_paths_stay_below_the_proxy() {
        assert_eq!(clean_path("/health/ready?full=1"), "health/ready?full=1");
        assert_eq!(clean_path("/../../../api/v1/secrets"), "api/v1/secrets");
        assert_eq!(clean_path("/a b/\r\nHost: x#y/"), "a%20b/%0D%0AHost:%20x%23y/");
        assert_eq!(clean_path("/"), "");
        assert_eq!(clean_path("/a?b=c\r\nX: y#z"), "a?b=cX:yz");
    }
}

//! Access to the selected cluster. A component never gets its address, its credentials or a value of a Secret.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wasmtime::Result as EngineResult;

use super::Capability;
use super::host_call::HostCall;
use crate::plugin::wit::imports::{cluster_read, cluster_write};
use crate::plugin::wit::{Error, ErrorKind};
use crate::plugin::{State, wit};
use todohost_cluster::{ApplyOptions, Client, LogRequest, Query};
use todohost_model::object::ObjectRef;

const READ: Duration = Duration::from_mins(1);
const WRITE: Duration = Duration::from_mins(2);
const MAX_PROBE: Duration = Duration::from_mins(1);
const MAX_TAIL: u32 = 10_000;
const MAX_MANIFEST: usize = 4 * 1024 * 1024;

fn reading(function: &'static str, detail: String) -> HostCall {
    HostCall { capability: Capability::ClusterRead, function, detail, deadline: READ }
}

fn place(object: &ObjectRef) -> String {
    match &object.namespace {
        Some(namespace) => format!("{object} in {namespace}"),
        None => object.to_string(),
    }
}

impl State {
    fn cluster(&self) -> Result<Client, Error> {
        self.context.environment.cluster.clone().ok_or_else(|| {
            let message = "no cluster is selected yet";
            Error::new(ErrorKind::Unavailable, "todohost.cluster.none", message)
        })
    }

    fn may_read(&self, object: &ObjectRef) -> Result<(), Error> {
        self.scope.cluster_read(
            &object.api_version,
            &object.kind,
            object.namespace.as_deref(),
            false,
        )
    }

    fn outward(&self, object: Value) -> String {
        self.context.environment.vault.tokenise(object).to_string()
    }
}

fn unsupported(code: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, code, message)
}

impl cluster_read::Host for State {
    async fn get(&mut self, object: wit::ObjectRef) -> EngineResult<Result<Option<String>, Error>> {
        let object = ObjectRef::from(object);
        let (granted, reader) = (self.may_read(&object), self.cluster());
        let host_call = reading("get", place(&object));
        let found = self.call(host_call, granted, async { Ok(reader?.get(&object).await?) }).await;
        Ok(found.map(|object| object.map(|object| self.outward(object))))
    }

    async fn list(
        &mut self,
        query: cluster_read::Query,
    ) -> EngineResult<Result<Vec<String>, Error>> {
        let continued = query.continue_.is_some();
        let query = Query {
            api_version: query.api_version,
            kind: query.kind,
            namespace: query.namespace,
            label_selector: query.label_selector,
            field_selector: query.field_selector,
            limit: query.limit,
            metadata_only: false,
        };
        let namespace = query.namespace.as_deref();
        let granted = self.scope.cluster_read(
            &query.api_version,
            &query.kind,
            namespace,
            namespace.is_none(),
        );
        let reader = self.cluster();
        let detail = format!("{} in {}", query.kind, namespace.unwrap_or("all namespaces"));
        let listing = async {
            if continued {
                let message = "lists are returned whole: `continue` is not supported";
                return Err(unsupported("todohost.cluster.continue", message));
            }
            Ok(reader?.list(&query).await?)
        };
        let found = self.call(reading("list", detail), granted, listing).await;
        Ok(found.map(|objects| objects.into_iter().map(|object| self.outward(object)).collect()))
    }

    async fn logs(
        &mut self,
        pod: wit::ObjectRef,
        container: Option<String>,
        previous: bool,
        tail_lines: u32,
    ) -> EngineResult<Result<String, Error>> {
        let pod = ObjectRef::from(pod);
        let (granted, reader) = (self.may_read(&pod), self.cluster());
        let host_call = reading("logs", place(&pod));
        let request = LogRequest { pod, container, previous, tail_lines: tail_lines.min(MAX_TAIL) };
        let text = self.call(host_call, granted, async { Ok(reader?.logs(&request).await?) }).await;
        Ok(text.map(|text| self.context.environment.vault.redact_output(&text)))
    }

    async fn http_get(
        &mut self,
        object: wit::ObjectRef,
        port: u16,
        path: String,
        timeout_ms: u32,
    ) -> EngineResult<Result<(u16, Vec<u8>), Error>> {
        let object = ObjectRef::from(object);
        let (granted, reader) = (self.may_read(&object), self.cluster());
        let timeout = Duration::from_millis(timeout_ms.into()).min(MAX_PROBE);
        let host_call = reading("http-get", format!("{} port {port} {path}", place(&object)));
        let answer = self
            .call(host_call, granted, async {
                Ok(reader?.http_get(&object, port, &path, timeout).await?)
            })
            .await;
        Ok(answer.map(|answer| (answer.status, self.redacted(answer.body))))
    }

    async fn node_summary(&mut self, node: String) -> EngineResult<Result<String, Error>> {
        let granted = self.scope.cluster_read("v1", "Node", None, false);
        let reader = self.cluster();
        let host_call = reading("node-summary", node.clone());
        let summary =
            self.call(host_call, granted, async { Ok(reader?.node_summary(&node).await?) }).await;
        Ok(summary.map(|summary| summary.to_string()))
    }

    async fn can_i(
        &mut self,
        verb: String,
        api_version: String,
        kind: String,
        namespace: Option<String>,
    ) -> EngineResult<Result<bool, Error>> {
        let reader = self.cluster();
        let host_call = reading("can-i", format!("{verb} {kind}"));
        // The user's permissions are not an object of the cluster, so this call needs no grant beyond the import.
        let answer = self
            .call(host_call, Ok(()), async {
                Ok(reader?.can_i(&verb, &api_version, &kind, namespace.as_deref()).await?)
            })
            .await;
        Ok(answer)
    }
}

impl State {
    async fn apply_one(
        &mut self,
        manifest: &str,
        force: bool,
        dry_run: bool,
    ) -> Result<String, Error> {
        let invalid = |message: String| {
            Error::new(ErrorKind::InvalidInput, "todohost.cluster.bad-manifest", message)
        };
        if manifest.len() > MAX_MANIFEST {
            return Err(invalid(format!("the manifest has more than {MAX_MANIFEST} bytes")));
        }
        let object: Value = serde_json::from_str(manifest)
            .map_err(|error| invalid(format!("the manifest is not JSON: {error}")))?;
        let reference = ObjectRef::of(&object).ok_or_else(|| {
            invalid("the manifest lacks apiVersion, kind or metadata.name".to_owned())
        })?;
        let granted = self.scope.cluster_write(
            &reference.api_version,
            &reference.kind,
            reference.namespace.as_deref(),
        );
        let (writer, vault) = (self.cluster(), Arc::clone(&self.context.environment.vault));
        let host_call = HostCall {
            capability: Capability::ClusterWrite,
            function: "apply",
            detail: place(&reference),
            deadline: WRITE,
        };
        let applied = self
            .call(host_call, granted, async {
                let object = vault.substitute(object)?;
                let options = ApplyOptions { dry_run, force };
                Ok(writer?.apply(&object, options).await?.object)
            })
            .await?;
        Ok(self.outward(applied))
    }
}

impl cluster_write::Host for State {
    async fn apply(
        &mut self,
        manifests: Vec<String>,
        force: bool,
        dry_run: bool,
    ) -> EngineResult<Vec<Result<String, Error>>> {
        let mut results = Vec::with_capacity(manifests.len());
        for manifest in manifests {
            results.push(self.apply_one(&manifest, force, dry_run).await);
        }
        Ok(results)
    }

    async fn delete(
        &mut self,
        object: wit::ObjectRef,
        propagation: Option<String>,
        uid: Option<String>,
    ) -> EngineResult<Result<(), Error>> {
        let object = ObjectRef::from(object);
        let granted = self.scope.cluster_write(
            &object.api_version,
            &object.kind,
            object.namespace.as_deref(),
        );
        let writer = self.cluster();
        let host_call = HostCall {
            capability: Capability::ClusterWrite,
            function: "delete",
            detail: place(&object),
            deadline: WRITE,
        };
        let done = self
            .call(host_call, granted, async {
                let others = propagation.filter(|name| !name.eq_ignore_ascii_case("background"));
                if let Some(other) = others {
                    let message =
                        format!("cannot delete {object} with propagation {other}: use Background");
                    return Err(unsupported("todohost.cluster.propagation", message));
                }
                writer?.delete(&object, uid.as_deref()).await?;
                Ok(())
            })
            .await;
        Ok(done)
    }
}

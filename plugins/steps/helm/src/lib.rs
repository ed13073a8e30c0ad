//! The step `render` with Helm's own engine.
//!
//! The engine is Helm's Go packages (`engine/`), built into the same component. This crate reads the chart, passes it to
//! the engine, and answers the engine's lookups from the cluster. The render does not validate `values.schema.json`,
//! because secret values are placeholders here; the check `helm-values` validates the real values.

mod chart;
mod message;

use message::{Incoming, LookupAnswer, LookupQuestion, Outgoing};
use todohost_plugin::render::{Hook, Manifest, Rendered, Request};
use todohost_plugin::{Error, ErrorKind, Finding, NoOptions, ObjectRef, Render, Result, cluster};

#[expect(clippy::same_length_and_capacity, reason = "the generated code builds lists like this")]
mod bindings {
    todohost_plugin::wit_bindgen::generate!({
        world: "todohost:helm-engine/front",
        path: ["../../../wit", "wit"],
        runtime_path: "::todohost_plugin::wit_bindgen::rt",
    });
}
use bindings::todohost::helm_engine::engine;

struct Helm;

impl Render for Helm {
    type Options = NoOptions;

    fn render(_options: NoOptions, request: Request) -> Result<Rendered> {
        let mut next = Incoming::Render(message::Request {
            release: &request.release,
            namespace: &request.namespace,
            revision: request.revision,
            is_upgrade: request.is_upgrade,
            files: chart::read(&request.source)?,
            values: values(&request),
            kubernetes_version: &request.kubernetes_version,
            api_versions: &request.api_versions,
        });
        loop {
            let reply = engine::call(&serde_json::to_vec(&next)?);
            match serde_json::from_slice(&reply)? {
                Outgoing::Lookup(question) => next = Incoming::Answer(look_up(question)),
                Outgoing::Rendered(rendered) => return Ok(to_rendered(rendered)),
                Outgoing::Failed(failure) => return Err(to_error(failure, &request.source)),
            }
        }
    }
}

todohost_plugin::export!(Helm: render);

fn values(request: &Request) -> message::Values<'_> {
    let values = &request.values;
    message::Values {
        files: values
            .files
            .iter()
            .map(|file| message::ValuesFile { name: &file.name, content: &file.content })
            .collect(),
        set: &values.set,
        set_string: &values.set_string,
        set_json: &values.set_json,
        set_file: values
            .set_file
            .iter()
            .map(|(key, data)| message::ValueFile { key, data })
            .collect(),
    }
}

/// Answers the template function `lookup`. Like in Helm, the answer is empty if the object does not exist.
fn look_up(question: LookupQuestion) -> LookupAnswer {
    let LookupQuestion { api_version, kind, namespace, name } = question;
    let namespace = (!namespace.is_empty()).then_some(namespace);
    let found = if name.is_empty() {
        cluster::list(&cluster::Query {
            api_version,
            kind,
            namespace,
            label_selector: None,
            field_selector: None,
            limit: None,
            continue_: None,
        })
    } else {
        let object = ObjectRef { api_version, kind, namespace, name };
        cluster::get(&object).map(|found| found.into_iter().collect())
    };
    match found {
        Ok(objects) => LookupAnswer {
            objects: objects.iter().map(ToString::to_string).collect(),
            error: String::new(),
        },
        Err(error) if error.kind == ErrorKind::NotFound => LookupAnswer::default(),
        Err(error) => LookupAnswer { objects: Vec::new(), error: error.message },
    }
}

fn to_rendered(rendered: message::Rendered) -> Rendered {
    let manifest =
        |from: message::Manifest| Manifest { source: from.source, content: from.content };
    Rendered {
        manifests: rendered.manifests.into_iter().map(manifest).collect(),
        hooks: rendered
            .hooks
            .into_iter()
            .map(|hook| Hook {
                source: hook.source,
                content: hook.content,
                events: hook.events,
                weight: hook.weight,
                delete_policies: hook.delete_policies,
            })
            .collect(),
        definitions: rendered.definitions.into_iter().map(manifest).collect(),
        notes: rendered.notes,
        chart: rendered.chart,
        config: rendered.config,
        effective: rendered.effective,
        findings: rendered
            .warnings
            .into_iter()
            .map(|warning| Finding::warning("helm.render.warning", warning))
            .collect(),
    }
}

fn to_error(failure: message::Failure, source: &str) -> Error {
    let kind = if failure.code == "helm.engine.internal" {
        ErrorKind::Internal
    } else {
        ErrorKind::InvalidInput
    };
    let error = Error::new(kind, failure.code, failure.message).because(failure.causes);
    match failure.location {
        Some(location) => {
            error.help(format!("correct {}/{location}", source.trim_end_matches('/')))
        }
        None => error,
    }
}

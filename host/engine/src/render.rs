//! Renders the chart twice, with two placeholders for every secret. If the two answers differ at a place, a secret went
//! there: into a Secret, which is right, or elsewhere, which is a finding.

mod cache;
pub(super) mod from_revision;
mod locate;
mod manifests;

use serde_json::Value;

use self::cache::CachedHook;
use self::manifests::Parsed;
use super::context::{Access, Context, Deadline};
use super::error::RunError;
use super::images::require_references;
use super::plan::Chosen;
use super::scheduler::Report;
use super::stages::{ImageSet, Rendered};
use todohost_model::digest::{Hasher, IgnorePatterns, digest_tree};
use todohost_model::event::{Bus, EventKind, Finding};
use todohost_model::object::Object;
use todohost_model::value_path::ValuePath;
use todohost_project::values::Values;
use todohost_release::Document;
use todohost_runtime::plugin::wit::render;
use todohost_secrets::{Nonce, SecretFinding};

pub(super) use self::cache::{CachedRender, rendered};
pub(super) use self::manifests::for_people;

/// Renders the chart, or takes the render of the same inputs from the cache.
pub(super) async fn run(
    access: Access<'_>,
    images: ImageSet,
    chosen: &Chosen,
    bus: Bus,
) -> Result<(Rendered, Report), RunError> {
    let cx = access.cx;
    let values = values(cx, &images)?;
    let first = request(access, &images, chosen, &values, Nonce::First).await?;
    let inputs = render_digest(cx, chosen, &first).await?;
    let cache = cx.cache("render");
    let (cached, is_new) = match cache.get::<CachedRender>(&inputs) {
        Some(cached) => (cached, false),
        None => {
            let second = request(access, &images, chosen, &values, Nonce::Second).await?;
            let (rendered, is_pure) =
                render_twice(access, chosen, &bus, &inputs, first, second).await?;
            if is_pure {
                cache.put(&inputs, &rendered);
            }
            (rendered, true)
        }
    };
    require_references(&images, cached.objects())?;
    let count = cached.documents.len();
    let rendered = rendered(access.vault(), images, cached, chosen.digest.clone(), inputs)?;
    let detail = format!("{count} objects");
    Ok((rendered, if is_new { Report::done(detail) } else { Report::unchanged(detail) }))
}

/// The user's values, overlaid with the names of the images.
pub(super) fn values(cx: &Context, images: &ImageSet) -> Result<Values, RunError> {
    let mut values = cx.run.values.clone();
    for state in images.iter() {
        let Some(image) = cx.run.project.file.images.get(&state.name) else { continue };
        for (path, template) in &image.values {
            let value = template
                .replace("{name}", &state.name)
                .replace("{tag}", &state.tag)
                .replace("{reference}", &state.reference);
            let parsed = ValuePath::parse(path);
            let parsed = parsed.ok_or_else(|| RunError::internal("an unchecked value path"))?;
            values.set_own(&parsed, &value, &format!("todohost.toml images.{}", state.name));
        }
    }
    Ok(values)
}

/// The question to the renderer, with the placeholders of one nonce in place of secrets.
async fn request(
    access: Access<'_>,
    images: &ImageSet,
    chosen: &Chosen,
    values: &Values,
    nonce: Nonce,
) -> Result<render::Request, RunError> {
    let app = access.cx.app();
    let vault = access.vault();
    let mut set_string = values.set_string.clone();
    for path in vault.paths() {
        // An empty value stays empty, an absent one absent.
        if let Some(placeholder) = vault.placeholder(&path, nonce) {
            set_string.push(format!("{path}={placeholder}"));
        }
    }
    let (kubernetes_version, api_versions) = match access.connected {
        Some(connected) => {
            let versions = access.cx.or_cancelled(connected.client.api_versions()).await?;
            (connected.client.version().git_version.clone(), versions)
        }
        None => (String::new(), Vec::new()),
    };
    let latest = access.connected.and_then(|connected| connected.latest.as_ref());
    let deployed = access.connected.and_then(|connected| connected.deployed.as_ref());
    Ok(render::Request {
        options: chosen.options.to_string(),
        release: app.name.clone(),
        namespace: app.namespace.clone(),
        revision: latest.map_or(1, |record| record.revision + 1),
        is_upgrade: deployed.is_some(),
        source: app.chart.clone(),
        values: render::Values {
            files: values
                .files
                .iter()
                .map(|file| render::ValuesFile {
                    name: file.name.clone(),
                    content: file.content.clone(),
                })
                .collect(),
            set: values.set.clone(),
            set_string,
            set_json: values.set_json.clone(),
            set_file: values.set_file.clone(),
        },
        images: images.for_components(),
        kubernetes_version,
        api_versions,
    })
}

/// Digest of everything that the output depends on, unless the chart looks objects up in the cluster.
async fn render_digest(
    cx: &Context,
    chosen: &Chosen,
    request: &render::Request,
) -> Result<String, RunError> {
    let root = cx.run.project.root.clone();
    let cache = cx.run.environment.cache_dir();
    let chart = request.source.clone();
    let paths = vec![chart.clone()];
    let tree = tokio::task::spawn_blocking(move || {
        let nothing: [&str; 0] = [];
        let patterns = IgnorePatterns::new(&nothing).map_err(std::io::Error::other)?;
        digest_tree(&root, &paths, &patterns, Some(&cache))
    });
    let tree = tree.await.map_err(|error| RunError::internal(error.to_string()))?;
    let tree = tree.map_err(|source| RunError::Chart { path: chart, source })?;
    // The size and id of an image are not known in every run, and no renderer needs them.
    let images: Vec<&str> = request.images.iter().map(|image| image.reference.as_str()).collect();
    let request = serde_json::to_vec(&render::Request { images: Vec::new(), ..request.clone() })
        .map_err(|error| RunError::internal(error.to_string()))?;
    let hasher = Hasher::new().part(cache::VERSION).part(&chosen.digest).part(tree);
    Ok(hasher.part(request).part(images.join(" ")).finish())
}

/// Renders with both nonces. Returns the render, and whether it depends on nothing but its inputs.
async fn render_twice(
    access: Access<'_>,
    chosen: &Chosen,
    bus: &Bus,
    inputs: &str,
    first: render::Request,
    second: render::Request,
) -> Result<(CachedRender, bool), RunError> {
    let plugin = access.cx.plugin(chosen)?;
    let context = access.call(bus.clone(), Deadline::Short, inputs);
    let (mut one, mut other) = (plugin.render(context.clone())?, plugin.render(context)?);
    let (first, second) = tokio::join!(one.render(first), other.render(second));
    let (first, second) = (first?, second?);
    let is_pure = !one.facts().read_cluster && !other.facts().read_cluster;
    let findings =
        first.findings.iter().cloned().map(|found| found.into_event(&chosen.id)).collect();
    if let Some(failed) = access.report_findings(bus, findings).into_iter().next() {
        let (first, help) = (failed.message, failed.help);
        let check = chosen.id.clone();
        return Err(RunError::Checks { check, first, count: 1, help, live: false });
    }
    let (once, again) = (Parsed::of(&first)?, Parsed::of(&second)?);
    if once.counts() != again.counts() {
        let chart = access.cx.app().chart.clone();
        return Err(RunError::Unstable { plugin: chosen.id.clone(), chart });
    }
    let sources: Vec<String> = once.all().map(|document| document.source.clone()).collect();
    let objects = |read: &Parsed| -> Vec<Object> {
        read.all().map(|document| document.object.clone()).collect()
    };
    let canonical = access
        .vault()
        .compare(&objects(&once), &objects(&again))
        .map_err(|findings| secret_error(access.cx, bus, chosen, &findings, &sources))?;
    let mut canonical = canonical.into_iter();
    let mut take = |documents: Vec<Document>| -> Vec<(String, Object)> {
        let sources = documents.into_iter().map(|document| document.source);
        sources.map_while(|source| Some((source, canonical.next()?))).collect()
    };
    let (definitions, documents) = (take(once.definitions), take(once.documents));
    let hooks = once
        .hooks
        .into_iter()
        .zip(canonical)
        .filter_map(|((index, document), object)| {
            let hook = first.hooks.get(index)?;
            Some(CachedHook {
                source: document.source,
                object,
                events: hook.events.clone(),
                weight: hook.weight,
                delete_policies: hook.delete_policies.clone(),
            })
        })
        .collect();
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let mut config = json(&first.config);
    for path in access.cx.run.project.file.secrets.keys() {
        remove(&mut config, path);
    }
    let rendered = CachedRender {
        definitions,
        documents,
        hooks,
        notes: access.vault().redact(&first.notes),
        chart: json(&first.chart),
        config,
    };
    Ok((rendered, is_pure))
}

/// Reports the findings about secrets in the chart, and makes the error of the first.
fn secret_error(
    cx: &Context,
    bus: &Bus,
    chosen: &Chosen,
    findings: &[SecretFinding],
    sources: &[String],
) -> RunError {
    let project = &cx.run.project;
    let place = |finding: &SecretFinding| {
        let source = sources.get(finding.index).filter(|source| !source.is_empty())?;
        let value = finding.path.as_deref();
        let chart = &project.file.app.chart;
        Some(locate::place(&project.root, chart, source, value, finding.field()))
    };
    for finding in findings {
        let (source, file) = (chosen.id.clone(), place(finding));
        bus.send(EventKind::Finding(Finding { source, file, ..Finding::from(finding) }));
    }
    match findings.first() {
        Some(first) => RunError::SecretInChart {
            first: first.to_string(),
            place: place(first).map(|place| format!(" ({place})")).unwrap_or_default(),
            count: findings.len(),
            help: first.help().to_owned(),
        },
        None => {
            let chart = cx.app().chart.clone();
            RunError::Unstable { plugin: chosen.id.clone(), chart }
        }
    }
}

/// Removes the value at a plain path, and the parents that are empty then.
fn remove(values: &mut Value, path: &str) {
    let Value::Object(fields) = values else { return };
    match path.split_once('.') {
        None => {
            fields.shift_remove(path);
        }
        Some((first, rest)) => {
            let Some(below) = fields.get_mut(first) else { return };
            remove(below, rest);
            if below.as_object().is_some_and(serde_json::Map::is_empty) {
                fields.shift_remove(first);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_removed_from_the_recorded_values() {
        let mut values = serde_json::json!({"secrets": {"db": "x", "other": 1}, "top": 2});
        remove(&mut values, "secrets.db");
        remove(&mut values, "top");
        remove(&mut values, "not.there");
        assert_eq!(values, serde_json::json!({"secrets": {"other": 1}}));
        remove(&mut values, "secrets.other");
        assert_eq!(values, serde_json::json!({}));
    }
}

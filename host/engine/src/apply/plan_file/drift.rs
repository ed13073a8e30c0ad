//! Checks a plan file for drift: whether cluster, release, secrets, images and objects are as they were planned for.

use crate::connected::Connected;
use crate::context::Deadline;
use crate::error::{Cause, RunError};
use crate::plan::Chosen;
use crate::render::rendered;
use crate::scheduler::Report;
use crate::stages::{ImageSet, ImageState, Rendered};
use todohost_cluster::{Client, ClusterError, comparable, namespace_ref};
use todohost_model::digest::Hasher;
use todohost_model::event::Bus;
use todohost_model::field;
use todohost_model::object::{Object, ObjectRef};
use todohost_release::Record;
use todohost_runtime::plugin::wit::Image;
use todohost_runtime::plugin::wit::target::ImageRoute;
use todohost_secrets::{Nonce, Vault};

use super::SavedPlan;

/// A namespace that exists once in every cluster.
const SYSTEM_NAMESPACE: &str = "kube-system";

/// Loads the objects of the plan file as the desired state, if nothing drifted.
pub(crate) async fn check_drift(
    connected: &Connected,
    chosen: &Chosen,
    bus: Bus,
) -> Result<(Rendered, Report), RunError> {
    let saved = connected.cx.run.saved.as_ref();
    let saved = saved.ok_or_else(|| RunError::internal("there is no plan file"))?;
    let images: ImageSet = saved
        .images
        .iter()
        .map(|image| {
            let image = image.clone();
            let state = ImageState {
                image: Image {
                    name: image.name.clone(),
                    reference: image.reference.clone(),
                    id: image.id,
                    platform: image.platform,
                    size: image.size,
                },
                name: image.name.clone(),
                tag: image.tag,
                reference: image.reference,
                present: false,
            };
            (image.name, state)
        })
        .collect();
    let mut drift = release_drift(connected, saved).await?;
    // In another cluster the rest cannot be compared.
    if drift.is_empty() {
        drift = secret_drift(connected, saved);
        drift.extend(revision_drift(connected, saved));
        drift.extend(image_drift(connected, &images, chosen, &bus).await?);
    }
    // With other secrets no Secret can be compared.
    if drift.is_empty() {
        drift = object_drift(connected, saved).await?;
    }
    if !drift.is_empty() {
        let moved = drift.into_iter().map(Cause).collect();
        return Err(RunError::PlanMoved { moved });
    }
    let (cached, renderer) = (saved.rendered.clone(), saved.renderer.clone());
    let rendered = rendered(&connected.vault, images, cached, renderer, saved.inputs.clone())?;
    Ok((rendered, Report::done(format!("no drift, {} objects", saved.live.len()))))
}

async fn release_drift(connected: &Connected, saved: &SavedPlan) -> Result<Vec<String>, RunError> {
    let app = connected.cx.app();
    let mut drift = Vec::new();
    let cluster = connected.cx.or_cancelled(identity(&connected.client)).await?;
    if cluster != saved.cluster {
        drift.push(format!("target {} now leads to another cluster", saved.target));
    }
    if (&saved.release, &saved.namespace) != (&app.name, &app.namespace) {
        drift.push(format!(
            "the plan is for release {} in namespace {}, not for {} in {}",
            saved.release, saved.namespace, app.name, app.namespace
        ));
    }
    Ok(drift)
}

fn revision_drift(connected: &Connected, saved: &SavedPlan) -> Option<String> {
    let number = |record: &Option<Record>| record.as_ref().map(|record| record.revision);
    let now = (number(&connected.latest), number(&connected.deployed));
    let describe = |(latest, deployed): (Option<u32>, Option<u32>)| {
        let label = |revision: Option<u32>| {
            revision.map_or_else(|| "none".to_owned(), |revision| revision.to_string())
        };
        format!("current revision {}, newest {}", label(deployed), label(latest))
    };
    let then = (saved.latest, saved.deployed);
    (now != then).then(|| {
        format!("the release changed: planned with {}; now {}", describe(then), describe(now))
    })
}

fn secret_drift(connected: &Connected, saved: &SavedPlan) -> Vec<String> {
    let vault = &connected.vault;
    let mut drift = Vec::new();
    for (path, hash) in &saved.secrets {
        match vault.placeholder(path, Nonce::First) {
            None => drift.push(format!("secret {path} is not given")),
            Some(now) if now != *hash => {
                drift.push(format!("secret {path} has another value"));
            }
            Some(_) => {}
        }
    }
    let more = vault.paths().into_iter().filter(|path| !saved.secrets.contains_key(path));
    drift.extend(more.map(|path| format!("secret {path} is given, but the plan has none")));
    drift
}

async fn image_drift(
    connected: &Connected,
    images: &ImageSet,
    chosen: &Chosen,
    bus: &Bus,
) -> Result<Vec<String>, RunError> {
    let images = images.for_components();
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let plugin = connected.cx.plugin(chosen)?;
    let options = chosen.options.to_string();
    let target = || plugin.target(connected.call(bus.clone(), Deadline::Short, "review"));
    // On other routes the delivery finds out.
    if target()?.images_via(options.clone()).await? != ImageRoute::SharedDaemon {
        return Ok(Vec::new());
    }
    let missing = target()?.missing_images(options, images).await?;
    let describe = |image: Image| {
        format!("image {} is gone, or its name now refers to another image", image.reference)
    };
    Ok(missing.into_iter().map(describe).collect())
}

async fn object_drift(connected: &Connected, saved: &SavedPlan) -> Result<Vec<String>, RunError> {
    let wanted: Vec<ObjectRef> = saved.live.iter().map(|live| live.object.clone()).collect();
    let found = connected.cx.or_cancelled(connected.client.get_many(&wanted)).await?;
    let compared = saved.live.iter().zip(&found).filter_map(|(then, now)| {
        let digest = now.as_ref().map(|now| digest(&connected.vault, now, &then.left));
        let object = &then.object;
        match (&then.digest, &digest) {
            (then, now) if then == now => None,
            (None, _) => Some(format!("{object} exists now")),
            (_, None) => Some(format!("{object} is gone")),
            _ => Some(format!("{object} was changed")),
        }
    });
    Ok(compared.collect())
}

/// Identity of a cluster: the uid of its system namespace.
pub(super) async fn identity(client: &Client) -> Result<String, ClusterError> {
    match client.get(&namespace_ref(SYSTEM_NAMESPACE)).await {
        Ok(found) => {
            let uid = found.as_ref().and_then(|found| found.pointer("/metadata/uid")?.as_str());
            Ok(uid.unwrap_or_default().to_owned())
        }
        // Without permission to read namespaces, fall back to the name of the context.
        Err(ClusterError::Forbidden { .. }) => Ok(format!("context {}", client.context())),
        Err(error) => Err(error),
    }
}

/// Digest of an object without status, bookkeeping and the fields left to other managers.
pub(super) fn digest(vault: &Vault, object: &Object, left: &[String]) -> String {
    let mut object = comparable(&vault.tokenise(object.clone()));
    for path in left {
        field::remove(&mut object, path);
    }
    // Lists and single reads return the fields in different orders.
    object.sort_all_objects();
    Hasher::new().part("live").part(object.to_string()).finish()
}

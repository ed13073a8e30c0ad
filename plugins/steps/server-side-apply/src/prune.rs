//! Objects that are no longer part of the release: deleted, or kept with a reason.

use crate::object::Object;
use crate::order::{is_never_pruned, position};
use crate::plan::Objects;
use todohost_plugin::apply::Operation;

/// Helm's annotation to keep an object.
pub const POLICY: &str = "helm.sh/resource-policy";

/// Helm's annotation with the name of the owning release.
pub const RELEASE: &str = "meta.helm.sh/release-name";

/// Operations for the objects of the previous release that this one no longer has. Objects come before those that they
/// use.
pub fn prune(
    release: &str,
    desired: &Objects,
    previous: &Objects,
    live: &Objects,
) -> Vec<Operation> {
    let mut gone: Vec<_> =
        previous.values().filter(|object| !desired.contains_key(&object.identity)).collect();
    gone.sort_by_key(|object| (position(&object.identity), &object.identity));
    gone.reverse();
    let operation =
        |object: &Object| match kept_because(release, object, live.get(&object.identity)) {
            Some(reason) => Operation::Keep((object.reference(), reason)),
            None => Operation::Delete(object.reference()),
        };
    gone.into_iter().map(operation).collect()
}

fn kept_because(release: &str, previous: &Object, live: Option<&Object>) -> Option<String> {
    if is_never_pruned(&previous.identity) {
        return Some(format!(
            "no longer part of the release, but a {} is never deleted automatically",
            previous.identity.kind
        ));
    }
    let keeps =
        |object: &Object| object.annotation(POLICY).is_some_and(|policy| policy.trim() == "keep");
    if keeps(previous) || live.is_some_and(keeps) {
        return Some(format!("no longer part of the release, but annotated with {POLICY}: keep"));
    }
    let owner = live.and_then(|live| live.annotation(RELEASE)).filter(|owner| *owner != release)?;
    Some(format!("no longer part of this release, but owned by the release {owner}"))
}

//! Dependencies between objects by annotations: weights, dependencies on objects, groups of objects.
//!
//! Existing charts use werf's annotations (`werf.io/weight`, `werf.io/deploy-dependency-NAME`, the older
//! `NAME.dependency.werf.io`, and `NAME.external-dependency.werf.io/resource` for objects outside the release), and those
//! of Helm's HIP-0025 (`helm.sh/resource-group`, `helm.sh/depends-on/resource-groups`).

use crate::object::{Identity, Object};
use std::collections::{BTreeMap, BTreeSet};
use todohost_plugin::{Error, ObjectRef, Result};

const WEIGHT: &str = "werf.io/weight";
const DEPENDENCY: &str = "werf.io/deploy-dependency-";
const OLD_DEPENDENCY: &str = ".dependency.werf.io";
const EXTERNAL: &str = ".external-dependency.werf.io/resource";
const EXTERNAL_NAMESPACE: &str = ".external-dependency.werf.io/namespace";
const GROUP: &str = "helm.sh/resource-group";

/// For each object, the objects that must be applied or ready before it.
pub type Needs = BTreeMap<Identity, BTreeMap<Identity, State>>;

/// The required state of a needed object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Applied.
    Present,
    /// Applied and ready.
    Ready,
}

/// The parsed annotations of all objects.
#[derive(Debug, Default)]
pub struct Dependencies {
    /// Weights other than 0.
    pub weights: BTreeMap<Identity, i64>,
    pub needs: Needs,
    /// Needed objects that are not part of the release. Their kind can be a plural or short name.
    pub external: BTreeMap<Identity, Vec<ObjectRef>>,
    /// Annotations without effect, as messages.
    pub warnings: Vec<String>,
}

/// Parses the annotations. `namespace` is the default for external objects.
///
/// # Errors
/// If an annotation is malformed.
pub fn read(objects: &BTreeMap<Identity, Object>, namespace: &str) -> Result<Dependencies> {
    let mut dependencies = Dependencies::default();
    for (identity, object) in objects {
        if let Some(text) = object.annotation(WEIGHT) {
            let weight = text.trim().parse().map_err(|_| malformed(object, WEIGHT, "10 or -10"))?;
            dependencies.weights.insert(identity.clone(), weight);
        }
        let mut needs = BTreeMap::new();
        for (key, value) in object.annotations() {
            if let Some(name) = key.strip_suffix(EXTERNAL) {
                let own_namespace = object.annotation(&format!("{name}{EXTERNAL_NAMESPACE}"));
                let external = external(value, own_namespace.unwrap_or(namespace))
                    .ok_or_else(|| malformed(object, key, "deployments.v1.apps/queue"))?;
                dependencies.external.entry(identity.clone()).or_default().push(external);
                continue;
            }
            let Some(selector) = selector(object, key, value)? else { continue };
            let mut found = objects
                .iter()
                .filter(|(other, object)| *other != identity && selector.matches(other, object))
                .map(|(other, _)| (other.clone(), selector.state))
                .peekable();
            if found.peek().is_none() {
                let title = object.title();
                dependencies.warnings.push(format!(
                    "{title}: the annotation {key} has no effect: no other object of the release matches {value}"
                ));
            }
            for (other, state) in found {
                let known = needs.entry(other).or_insert(state);
                *known = state.max(*known);
            }
        }
        for group in groups(object)? {
            let in_group = |object: &&Object| object.annotation(GROUP) == Some(&group);
            let members: BTreeSet<_> =
                objects.values().filter(in_group).map(|object| object.identity.clone()).collect();
            if members.is_empty() {
                let title = object.title();
                dependencies
                    .warnings
                    .push(format!("{title} waits for the group {group}, which has no members"));
            }
            needs.extend(members.into_iter().map(|member| (member, State::Ready)));
        }
        if !needs.is_empty() {
            dependencies.needs.insert(identity.clone(), needs);
        }
    }
    Ok(dependencies)
}

/// Selects the needed objects of the release by their properties.
struct Selector {
    properties: BTreeMap<&'static str, String>,
    state: State,
}

impl Selector {
    fn matches(&self, identity: &Identity, object: &Object) -> bool {
        self.properties.iter().all(|(property, value)| match *property {
            "name" => identity.name == *value,
            "namespace" => identity.namespace == *value,
            "kind" => identity.kind == *value,
            "group" => identity.group == *value,
            _ => object.version() == value,
        })
    }
}

fn selector(object: &Object, key: &str, value: &str) -> Result<Option<Selector>> {
    if key.starts_with(DEPENDENCY) {
        return properties(value)
            .map(Some)
            .ok_or_else(|| malformed(object, key, "state=ready,kind=StatefulSet,name=postgres"));
    }
    if !key.ends_with(OLD_DEPENDENCY) {
        return Ok(None);
    }
    // `apps/v1:StatefulSet:postgres`, `v1:Secret:shop:keys`
    let parts: Vec<_> = value.split(':').collect();
    let (api_version, kind, namespace, name) = match parts.as_slice() {
        [api_version, kind, name] => (*api_version, *kind, None, *name),
        [api_version, kind, namespace, name] => (*api_version, *kind, Some(*namespace), *name),
        _ => return Err(malformed(object, key, "apps/v1:StatefulSet:postgres")),
    };
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let mut properties = BTreeMap::from([
        ("group", group.to_owned()),
        ("version", version.to_owned()),
        ("kind", kind.to_owned()),
        ("name", name.to_owned()),
    ]);
    properties.extend(namespace.map(|namespace| ("namespace", namespace.to_owned())));
    Ok(Some(Selector { properties, state: State::Present }))
}

/// Parses `state=ready,kind=StatefulSet,name=postgres`.
fn properties(text: &str) -> Option<Selector> {
    const KNOWN: [&str; 5] = ["name", "namespace", "kind", "group", "version"];
    let mut properties = BTreeMap::new();
    let mut state = State::Present;
    for part in text.split(',') {
        let (key, value) = part.split_once('=')?;
        match (key.trim(), value.trim()) {
            ("state", "ready") => state = State::Ready,
            ("state", "present") => {}
            (key, value) => {
                let known = KNOWN.into_iter().find(|known| *known == key)?;
                properties.insert(known, value.to_owned());
            }
        }
    }
    (!properties.is_empty()).then_some(Selector { properties, state })
}

/// Parses `secret/keys` or `deployments.v1.apps/queue`: any name of a resource, with version and group if it is not a
/// built-in one, and the object's name.
fn external(text: &str, namespace: &str) -> Option<ObjectRef> {
    let (resource, name) = text.trim().split_once('/')?;
    let (kind, api_version) = match resource.split_once('.') {
        None => (resource, String::new()),
        Some((kind, rest)) => {
            let (version, group) = rest.split_once('.')?;
            let is_complete = !version.is_empty() && !group.is_empty();
            (kind, is_complete.then(|| format!("{group}/{version}"))?)
        }
    };
    let namespace = namespace.trim();
    let is_complete = !kind.is_empty() && !namespace.is_empty() && !name.is_empty();
    (is_complete && !name.contains('/')).then(|| ObjectRef {
        api_version,
        kind: kind.to_owned(),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    })
}

/// The groups that an object waits for: a JSON list, or names separated by commas.
fn groups(object: &Object) -> Result<Vec<String>> {
    let Some(text) = &object.depends_on_groups else { return Ok(Vec::new()) };
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text)
            .map_err(|_| malformed(object, crate::object::DEPENDS_ON_GROUPS, "[\"database\"]"));
    }
    let names = text.split(',').map(|name| name.trim().to_owned());
    Ok(names.filter(|name| !name.is_empty()).collect())
}

fn malformed(object: &Object, key: &str, example: &str) -> Error {
    Error::invalid_input(
        "server-side-apply.annotation",
        format!("{}: the annotation {key} is malformed", object.title()),
    )
    .help(format!("write it like this: {key}: '{example}'"))
}

/// Puts objects with external dependencies after all other objects of equal or lower weight. One of those may cause the
/// external object to be created, such as a custom resource for which an operator creates a Secret.
pub fn external_last(
    needs: &mut Needs,
    external: &BTreeMap<Identity, Vec<ObjectRef>>,
    rank: &dyn Fn(&Identity) -> i64,
    objects: &[&Identity],
) {
    let needs_external = |identity: &Identity, needs: &Needs| {
        external.contains_key(identity)
            || reachable(identity, needs).iter().any(|needed| external.contains_key(*needed))
    };
    let independent: Vec<_> =
        objects.iter().filter(|identity| !needs_external(identity, needs)).collect();
    for identity in external.keys() {
        let before = independent.iter().filter(|other| rank(other) <= rank(identity));
        let own = needs.entry(identity.clone()).or_default();
        for other in before {
            own.entry((**other).clone()).or_insert(State::Present);
        }
    }
}

/// Objects that a dependency moves to a later level also delay the objects of higher weight, unless they depend on one
/// of these themselves.
pub fn keep_weights<'a>(
    needs: &mut Needs,
    objects: impl Iterator<Item = &'a Identity>,
    weight: &dyn Fn(&Identity) -> i64,
) {
    let delayed: Vec<Identity> = needs
        .keys()
        .filter(|identity| {
            reachable(identity, needs).iter().all(|it| weight(it) <= weight(identity))
        })
        .cloned()
        .collect();
    for identity in objects {
        let lighter = delayed.iter().filter(|other| weight(other) < weight(identity));
        for other in lighter {
            needs.entry(identity.clone()).or_default().insert(other.clone(), State::Ready);
        }
    }
}

/// All objects that an object depends on, directly or indirectly.
fn reachable<'a>(identity: &Identity, needs: &'a Needs) -> BTreeSet<&'a Identity> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Identity> =
        needs.get(identity).into_iter().flat_map(BTreeMap::keys).collect();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(needs.get(next).into_iter().flat_map(BTreeMap::keys));
        }
    }
    found
}

/// The level of each object: at least its `natural` one, and above all objects that it needs.
///
/// # Errors
/// If objects depend on each other in a cycle; the error names its objects.
pub fn levels(
    natural: &BTreeMap<Identity, usize>,
    needs: &Needs,
) -> Result<BTreeMap<Identity, usize>> {
    let mut levels = BTreeMap::new();
    for identity in natural.keys() {
        level(identity, natural, needs, &mut levels, &mut Vec::new())?;
    }
    Ok(levels)
}

fn level<'a>(
    identity: &'a Identity,
    natural: &BTreeMap<Identity, usize>,
    needs: &'a Needs,
    levels: &mut BTreeMap<Identity, usize>,
    path: &mut Vec<&'a Identity>,
) -> Result<usize> {
    if let Some(known) = levels.get(identity) {
        return Ok(*known);
    }
    if let Some(start) = path.iter().position(|one| *one == identity) {
        return Err(cycle(&path[start..]));
    }
    path.push(identity);
    let mut own = natural.get(identity).copied().unwrap_or_default();
    for needed in needs.get(identity).into_iter().flat_map(BTreeMap::keys) {
        own = own.max(level(needed, natural, needs, levels, path)? + 1);
    }
    path.pop();
    levels.insert(identity.clone(), own);
    Ok(own)
}

fn cycle(path: &[&Identity]) -> Error {
    let title = |identity: &Identity| format!("{}/{}", identity.kind, identity.name);
    let mut names: Vec<_> = path.iter().map(|identity| title(identity)).collect();
    names.extend(path.first().map(|first| title(first)));
    let message = if let [alone] = path {
        format!("{} depends on itself", title(alone))
    } else {
        format!("objects depend on each other in a cycle: {}", names.join(" -> "))
    };
    Error::invalid_input("server-side-apply.circle", message)
        .help("remove one of these dependencies from the annotations of the objects")
}

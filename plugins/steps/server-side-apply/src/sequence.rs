//! What waits for what, as annotations say it: weights, dependencies on objects, groups of objects.
//!
//! The annotations are those that charts have today: werf's (`werf.io/weight`, `werf.io/deploy-dependency-NAME` and
//! the older `NAME.dependency.werf.io`; `NAME.external-dependency.werf.io/resource` for what others make), and Helm's
//! HIP-0025 (`helm.sh/resource-group`, `helm.sh/depends-on/resource-groups`).

use crate::object::{Identity, Object};
use std::collections::{BTreeMap, BTreeSet};
use todohost_plugin::{Error, ObjectRef, Result};

const WEIGHT: &str = "werf.io/weight";
const DEPENDENCY: &str = "werf.io/deploy-dependency-";
const OLD_DEPENDENCY: &str = ".dependency.werf.io";
const EXTERNAL: &str = ".external-dependency.werf.io/resource";
const EXTERNAL_NAMESPACE: &str = ".external-dependency.werf.io/namespace";
const GROUP: &str = "helm.sh/resource-group";

/// Which objects have to be there, or ready, before another one is applied.
pub type Needs = BTreeMap<Identity, BTreeMap<Identity, State>>;

/// How far something that is waited for must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It is applied.
    Present,
    /// It is ready, too.
    Ready,
}

/// The annotations of all objects, read.
#[derive(Debug, Default)]
pub struct Sequence {
    /// Weights other than 0.
    pub weights: BTreeMap<Identity, i64>,
    /// What waits for what.
    pub needs: Needs,
    /// What objects wait for that is no part of the release, by the names that people call kinds by.
    pub outside: BTreeMap<Identity, Vec<ObjectRef>>,
    /// What an annotation asks for and nobody can give, for people.
    pub warnings: Vec<String>,
}

/// Reads the annotations; what is outside is in `namespace` where they name none.
///
/// # Errors
/// Where one of them cannot be understood.
pub fn read(objects: &BTreeMap<Identity, Object>, namespace: &str) -> Result<Sequence> {
    let mut sequence = Sequence::default();
    for (identity, object) in objects {
        if let Some(text) = object.annotation(WEIGHT) {
            let weight = text.trim().parse().map_err(|_| malformed(object, WEIGHT, "10 or -10"))?;
            sequence.weights.insert(identity.clone(), weight);
        }
        let mut needs = BTreeMap::new();
        for (key, value) in object.annotations() {
            if let Some(name) = key.strip_suffix(EXTERNAL) {
                let place = object.annotation(&format!("{name}{EXTERNAL_NAMESPACE}"));
                let outside = external(value, place.unwrap_or(namespace))
                    .ok_or_else(|| malformed(object, key, "deployments.v1.apps/queue"))?;
                sequence.outside.entry(identity.clone()).or_default().push(outside);
                continue;
            }
            let Some(wanted) = wanted(object, key, value)? else { continue };
            let mut found = objects
                .iter()
                .filter(|(other, object)| *other != identity && wanted.names(other, object))
                .map(|(other, _)| (other.clone(), wanted.state))
                .peekable();
            if found.peek().is_none() {
                let title = object.title();
                sequence.warnings.push(format!(
                    "{title} waits for nothing by {key}: no other object of the release is {value}"
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
                sequence
                    .warnings
                    .push(format!("{title} waits for the group {group}, which is empty"));
            }
            needs.extend(members.into_iter().map(|member| (member, State::Ready)));
        }
        if !needs.is_empty() {
            sequence.needs.insert(identity.clone(), needs);
        }
    }
    Ok(sequence)
}

/// What an annotation waits for: objects of the release with these properties.
struct Wanted {
    properties: BTreeMap<&'static str, String>,
    state: State,
}

impl Wanted {
    fn names(&self, identity: &Identity, object: &Object) -> bool {
        self.properties.iter().all(|(property, value)| match *property {
            "name" => identity.name == *value,
            "namespace" => identity.namespace == *value,
            "kind" => identity.kind == *value,
            "group" => identity.group == *value,
            _ => object.version() == value,
        })
    }
}

fn wanted(object: &Object, key: &str, value: &str) -> Result<Option<Wanted>> {
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
    Ok(Some(Wanted { properties, state: State::Present }))
}

/// `state=ready,kind=StatefulSet,name=postgres`
fn properties(text: &str) -> Option<Wanted> {
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
    (!properties.is_empty()).then_some(Wanted { properties, state })
}

/// `secret/keys`, `deployments.v1.apps/queue`: a resource by any of its names, with version and group where it is no
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

/// The groups that an object waits for: a JSON list, or names with commas between them.
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
        format!("{}: the annotation {key} cannot be understood", object.title()),
    )
    .help(format!("write it as in {key}: '{example}'"))
}

/// Puts what waits for the outside after everything of its weight, and of lighter ones, that does not: it may be what
/// makes the outside do its part, as the custom resource does of which an operator makes a Secret.
pub fn outside_last(
    needs: &mut Needs,
    outside: &BTreeMap<Identity, Vec<ObjectRef>>,
    rank: &dyn Fn(&Identity) -> i64,
    objects: &[&Identity],
) {
    let waits_outside = |identity: &Identity, needs: &Needs| {
        outside.contains_key(identity)
            || reachable(identity, needs).iter().any(|needed| outside.contains_key(*needed))
    };
    let independent: Vec<_> =
        objects.iter().filter(|identity| !waits_outside(identity, needs)).collect();
    for identity in outside.keys() {
        let before = independent.iter().filter(|other| rank(other) <= rank(identity));
        let own = needs.entry(identity.clone()).or_default();
        for other in before {
            own.entry((**other).clone()).or_insert(State::Present);
        }
    }
}

/// Lets what is heavier wait for what a dependency pushes back, unless that one waits for something heavier itself.
pub fn keep_weights<'a>(
    needs: &mut Needs,
    objects: impl Iterator<Item = &'a Identity>,
    weight: &dyn Fn(&Identity) -> i64,
) {
    let pushed: Vec<Identity> = needs
        .keys()
        .filter(|identity| {
            reachable(identity, needs).iter().all(|it| weight(it) <= weight(identity))
        })
        .cloned()
        .collect();
    for identity in objects {
        let lighter = pushed.iter().filter(|other| weight(other) < weight(identity));
        for other in lighter {
            needs.entry(identity.clone()).or_default().insert(other.clone(), State::Ready);
        }
    }
}

/// Everything that an object waits for, directly or not.
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

/// The level of each object: at least `natural`, and above everything that it needs.
///
/// # Errors
/// Where objects wait for each other in a circle, which is named.
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
        return Err(circle(&path[start..]));
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

fn circle(path: &[&Identity]) -> Error {
    let title = |identity: &Identity| format!("{}/{}", identity.kind, identity.name);
    let mut names: Vec<_> = path.iter().map(|identity| title(identity)).collect();
    names.extend(path.first().map(|first| title(first)));
    let message = if let [alone] = path {
        format!("{} waits for itself", title(alone))
    } else {
        format!("objects wait for each other in a circle: {}", names.join(" -> "))
    };
    Error::invalid_input("server-side-apply.circle", message)
        .help("take one of the dependencies out of the annotations of these objects")
}

//! Plans the operations on all objects, and the waves in which the host runs them.

use crate::compare;
use crate::dependencies::{self, Dependencies, Needs, State};
use crate::object::{Identity, Object, read};
use crate::order::{Stage, is_built_in, position};
use crate::prune::prune;
use std::collections::{BTreeMap, BTreeSet};
use todohost_plugin::apply::{Operation, Request, Wave};
use todohost_plugin::{ObjectRef, Result};

pub type Objects = BTreeMap<Identity, Object>;

/// The waves of a deploy, with warnings for the user.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// The waves in their order, without empty ones.
    pub waves: Vec<Wave>,
    /// Annotations without effect, as messages.
    pub warnings: Vec<String>,
}

/// Plans a deploy. The plan does not depend on the order of the request's objects.
///
/// # Errors
/// If a document is not an object, an object occurs twice, or objects depend on each other in a cycle.
pub fn plan(request: &Request) -> Result<Plan> {
    let desired = read(&request.desired, &request.namespace)?;
    let previous = read(&request.previous, &request.namespace)?;
    let live = read(&request.live, &request.namespace)?;
    let dependencies = dependencies::read(&desired, &request.namespace)?;
    let mut waves = waves(&desired, &previous, &live, &dependencies)?;
    waves.push(Wave {
        title: "objects no longer part of the release".to_owned(),
        operations: prune(&request.release, &desired, &previous, &live),
        wait_for: Vec::new(),
    });
    waves.retain(|wave| !wave.operations.is_empty() || !wave.wait_for.is_empty());
    Ok(Plan { waves, warnings: dependencies.warnings })
}

/// The position of an object by weight and stage, without its dependencies.
type Rank = (i64, Stage);

fn waves(
    desired: &Objects,
    previous: &Objects,
    live: &Objects,
    dependencies: &Dependencies,
) -> Result<Vec<Wave>> {
    let rank = |identity: &Identity| -> Rank {
        match position(identity).0 {
            Stage::Foundations => (i64::MIN, Stage::Foundations),
            stage => (dependencies.weights.get(identity).copied().unwrap_or_default(), stage),
        }
    };
    let ranks: BTreeSet<Rank> = desired.keys().map(rank).collect();
    let ranks: Vec<Rank> = ranks.into_iter().collect();
    let index = |wanted: &Rank| ranks.iter().position(|rank| rank == wanted).unwrap_or_default();
    let natural: BTreeMap<_, _> =
        desired.keys().map(|identity| (identity.clone(), index(&rank(identity)))).collect();
    let mut needs = dependencies.needs.clone();
    let mut external = dependencies.external.clone();
    // All other objects need the foundations, so dependencies of foundations are ignored.
    let may_wait = |identity: &Identity| position(identity).0 != Stage::Foundations;
    needs.retain(|identity, _| may_wait(identity));
    external.retain(|identity, _| may_wait(identity));
    let identities: Vec<_> = desired.keys().collect();
    dependencies::external_last(&mut needs, &external, &|identity| rank(identity).0, &identities);
    dependencies::keep_weights(&mut needs, desired.keys(), &|identity| rank(identity).0);
    let levels = dependencies::levels(&natural, &needs)?;

    let operation = |object: &Object| {
        let identity = &object.identity;
        if is_unchanged(object, previous.get(identity), live.get(identity)) {
            Operation::Unchanged(object.reference())
        } else {
            Operation::Apply(object.document.to_string())
        }
    };
    let mut waves: BTreeMap<usize, Vec<&Object>> = BTreeMap::new();
    for (identity, object) in desired {
        waves.entry(levels[identity]).or_default().push(object);
    }
    let mut ends = ends(desired, &ranks, &rank, &levels, &needs);
    let foundations_stay = |identity: &Identity, object: &Object| {
        position(identity).0 == Stage::Foundations
            && matches!(operation(object), Operation::Unchanged(_))
    };
    // Unchanged foundations are ready: the objects after them were deployed before.
    ends.retain(|identity, _| !foundations_stay(identity, &desired[identity]));
    let last_of = |end: usize| waves.range(..=end).next_back().map(|(level, _)| *level);
    let mut waits: BTreeMap<usize, Vec<ObjectRef>> = BTreeMap::new();
    for (identity, end) in &ends {
        if let Some(level) = last_of(*end) {
            waits.entry(level).or_default().push(desired[identity].reference());
        }
    }
    // External objects are waited for before the first changed object that needs them.
    let mut first = Vec::new();
    for (identity, wanted) in external {
        if let Operation::Apply(_) = operation(&desired[&identity]) {
            let before = waves.range(..levels[&identity]).next_back();
            before.map_or(&mut first, |(level, _)| waits.entry(*level).or_default()).extend(wanted);
        }
    }
    let first = (!first.is_empty()).then(|| Wave {
        title: "external dependencies".to_owned(),
        operations: Vec::new(),
        wait_for: first,
    });
    let titled = waves.iter().map(|(level, objects)| {
        let mut objects = objects.clone();
        objects.sort_by_key(|object| (position(&object.identity), &object.identity));
        let is_natural = objects.iter().all(|object| natural[&object.identity] == *level);
        let (weight, stage) = ranks.get(*level).copied().unwrap_or((0, Stage::Others));
        let title = match weight {
            _ if !is_natural => "objects with dependencies".to_owned(),
            0 | i64::MIN => stage.title().to_owned(),
            weight => format!("{}, weight {weight}", stage.title()),
        };
        let operations = objects.into_iter().map(operation).collect();
        Wave { title, operations, wait_for: waits.remove(level).unwrap_or_default() }
    });
    Ok(first.into_iter().chain(titled).collect())
}

/// The level at the end of which an object must be ready, for each object that others wait for.
fn ends(
    desired: &Objects,
    ranks: &[Rank],
    rank: &dyn Fn(&Identity) -> Rank,
    levels: &BTreeMap<Identity, usize>,
    needs: &Needs,
) -> BTreeMap<Identity, usize> {
    let mut ends: BTreeMap<Identity, usize> = BTreeMap::new();
    let mut end_by = |identity: &Identity, level: usize| {
        let end = ends.entry(identity.clone()).or_insert(level);
        *end = level.min(*end);
    };
    for identity in desired.keys() {
        let weight = rank(identity).0;
        // The next weight starts when all objects of this weight are ready.
        let next = ranks.iter().position(|(other, _)| *other > weight);
        if let Some(next) = next.filter(|next| *next > levels[identity]) {
            end_by(identity, next - 1);
        }
    }
    for (identity, needed) in needs {
        for (other, state) in needed {
            if *state == State::Ready {
                end_by(other, levels[identity].saturating_sub(1));
            }
        }
    }
    ends
}

/// Whether an object need not be applied: the release did not change it, and the live object still has all its fields. An
/// object new in the release is applied even if an equal one exists, to take ownership of its fields.
fn is_unchanged(desired: &Object, previous: Option<&Object>, live: Option<&Object>) -> bool {
    let (Some(previous), Some(live)) = (previous, live) else { return false };
    previous.document == desired.document
        && live.document["metadata"]["deletionTimestamp"].is_null()
        && compare::has_all(&desired.document, &live.document, is_built_in(&desired.identity.group))
}

#[cfg(test)]
mod tests;

//! Dry runs: the change of every object. If the API server would refuse one, nothing is applied.

use std::collections::{HashMap, HashSet};

use futures::StreamExt;
use futures::stream;

use super::error::ForeignObject;
use super::transaction::PARALLEL;
use super::{LeftField, Operation, ReleaseError, Transaction, Wave, definition, ownership};
use todohost_cluster::{ClusterError, is_unmigrated};
use todohost_model::object::{Object, ObjectChange, ObjectRef};

/// The change of one object. It holds the real data of Secrets.
#[derive(Clone, Debug)]
pub struct PlannedChange {
    /// Which.
    pub object: ObjectRef,
    /// The kind of change.
    pub change: ObjectChange,
    /// The reason, if it is not obvious.
    pub reason: Option<String>,
    /// The object now.
    pub before: Option<Object>,
    /// The object afterwards; `None` if it is not applied, or a dry run is not possible yet.
    pub after: Option<Object>,
    /// Fields that would stay as others have them.
    pub left: Vec<LeftField>,
    /// Applying it would change nothing, not even the managers of fields.
    is_idle: bool,
}

/// The changes of all objects.
#[derive(Clone, Debug, Default)]
pub struct DryRun {
    /// Every object, in the order of the waves.
    pub objects: Vec<PlannedChange>,
}

impl DryRun {
    /// Those that would change.
    pub fn changes(&self) -> impl Iterator<Item = &PlannedChange> {
        let stays = |change| matches!(change, ObjectChange::Unchanged | ObjectChange::Kept);
        self.objects.iter().filter(move |one| !stays(one.change))
    }

    /// The object was not there, and would be.
    pub fn creates(&self, object: &ObjectRef) -> bool {
        self.objects.iter().any(|one| one.object == *object && one.change == ObjectChange::Created)
    }

    /// Unchanged objects with fields that stock Helm set by other ways than server-side apply.
    pub fn unmigrated(&self) -> HashSet<ObjectRef> {
        let is_it = |one: &&PlannedChange| {
            one.change == ObjectChange::Unchanged && one.before.as_ref().is_some_and(is_unmigrated)
        };
        self.objects.iter().filter(is_it).map(|one| one.object.clone()).collect()
    }

    /// The waves without operations that would change nothing.
    #[must_use]
    pub fn without_noops(&self, waves: Vec<Wave>) -> Vec<Wave> {
        let mut prospects = self.objects.iter();
        let mut spare = |operation: Operation| match prospects.next() {
            Some(one) if one.is_idle => Operation::Unchanged(one.object.clone()),
            _ => operation,
        };
        waves
            .into_iter()
            .map(|wave| Wave {
                operations: wave.operations.into_iter().map(&mut spare).collect(),
                ..wave
            })
            .collect()
    }
}

impl Transaction {
    /// Finds the changes of the waves by dry runs on the API server. If the namespace or a kind is missing, its objects
    /// are new. `live` has the live objects, `known` the objects that the release had before.
    ///
    /// # Errors
    /// `NotOwned` with every object of another owner; `Conflicts` with every field of another manager; other refusals of
    /// the API server.
    pub async fn dry_run(
        &self,
        waves: &[Wave],
        live: &HashMap<ObjectRef, Object>,
        known: &HashSet<ObjectRef>,
        has_namespace: bool,
    ) -> Result<DryRun, ReleaseError> {
        let adopted = self.adopted(waves, live, known)?;
        let no_namespace = !has_namespace;
        let operations = waves.iter().flat_map(|wave| &wave.operations);
        let asked = operations.map(|operation| async move {
            let object = operation.target()?;
            let before = live.get(&object);
            let asked = self.ask(operation, &object, before, no_namespace).await;
            Ok::<_, ReleaseError>((object, before.cloned(), asked))
        });
        let mut asked = stream::iter(asked).buffered(PARALLEL);
        let (mut objects, mut refusals) = (Vec::new(), Vec::new());
        while let Some(answer) = asked.next().await {
            let (object, before, asked) = answer?;
            match asked {
                Ok(Asked { change, reason, after, left, is_idle }) => {
                    let reason = reason.or_else(|| adopted.get(&object).cloned());
                    objects.push(PlannedChange {
                        object,
                        change,
                        reason,
                        before,
                        after,
                        left,
                        is_idle,
                    });
                }
                Err(ReleaseError::Cluster(error)) => refusals.push((object, error)),
                Err(error) => return Err(error),
            }
        }
        let mut refusals = refusals.into_iter();
        match refusals.next() {
            None => Ok(DryRun { objects }),
            Some(first) => Err(ReleaseError::refused(first, refusals.collect())),
        }
    }

    /// Objects of other owners that are taken over, with their owners.
    fn adopted(
        &self,
        waves: &[Wave],
        live: &HashMap<ObjectRef, Object>,
        known: &HashSet<ObjectRef>,
    ) -> Result<HashMap<ObjectRef, String>, ReleaseError> {
        let own_namespace = todohost_cluster::namespace_ref(&self.namespace);
        let (mut adopted, mut foreign) = (HashMap::new(), Vec::new());
        for operation in waves.iter().flat_map(|wave| &wave.operations) {
            // An object that stays unchanged must belong to the release, too.
            if matches!(operation, Operation::Keep(..) | Operation::Delete(_)) {
                continue;
            }
            let object = operation.target()?;
            let Some(found) = live.get(&object).filter(|_| object != own_namespace) else {
                continue;
            };
            if self.definitions.contains(&object) {
                continue;
            }
            // An object of the release that lost its marks still belongs to it.
            if known.contains(&object) && !ownership::is_claimed(found) {
                continue;
            }
            let Some(owner) = ownership::stranger(found, &self.release, &self.namespace) else {
                continue;
            };
            if self.takeover.adopt.iter().any(|adoption| adoption.takes(&object)) {
                adopted.insert(object, format!("adopted: it {owner}"));
            } else {
                foreign.push(ForeignObject { object, owner });
            }
        }
        if foreign.is_empty() {
            return Ok(adopted);
        }
        Err(ReleaseError::NotOwned { release: self.release.clone(), foreign })
    }

    async fn ask(
        &self,
        operation: &Operation,
        object: &ObjectRef,
        before: Option<&Object>,
        no_namespace: bool,
    ) -> Result<Asked, ReleaseError> {
        Ok(match operation {
            Operation::Keep(_, reason) => {
                Asked { reason: Some(reason.clone()), ..Asked::of(ObjectChange::Kept) }
            }
            Operation::Delete(_) if before.is_some() => Asked::of(ObjectChange::Deleted),
            Operation::Delete(_) | Operation::Unchanged(_) => Asked::of(ObjectChange::Unchanged),
            Operation::Replace(_) => Asked::of(ObjectChange::Configured),
            Operation::Apply(_)
                if no_namespace && object.namespace.as_deref() == Some(&self.namespace) =>
            {
                Asked::of(ObjectChange::Created)
            }
            Operation::Apply(desired) => {
                let desired = self.real(desired)?;
                if let Some(before) = before.filter(|_| definition::is_definition(object)) {
                    self.check_definition(object, before, &desired).await?;
                }
                match self.apply_settled(&desired, before, true).await {
                    Ok(settled) => Asked {
                        change: settled.applied.change,
                        reason: None,
                        is_idle: settled.applied.change == ObjectChange::Unchanged
                            && !settled.applied.owns_anew,
                        after: Some(settled.applied.object),
                        left: settled.left,
                    },
                    Err(ClusterError::UnknownKind { .. }) => Asked::of(ObjectChange::Created),
                    Err(error) if error.is_no_dry_run() => {
                        let change = match before {
                            Some(_) => ObjectChange::Configured,
                            None => ObjectChange::Created,
                        };
                        let reason = "a webhook of the cluster answers no dry run".to_owned();
                        Asked { reason: Some(reason), ..Asked::of(change) }
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        })
    }
}

/// The result of a dry run.
struct Asked {
    change: ObjectChange,
    reason: Option<String>,
    after: Option<Object>,
    left: Vec<LeftField>,
    is_idle: bool,
}

impl Asked {
    fn of(change: ObjectChange) -> Self {
        Self { change, reason: None, after: None, left: Vec::new(), is_idle: false }
    }
}

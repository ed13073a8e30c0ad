//! What would become of the objects, by dry runs: nothing is applied where one of them would be refused.

use std::collections::{HashMap, HashSet};

use futures::StreamExt;
use futures::stream;

use super::error::Stranger;
use super::transaction::PARALLEL;
use super::{LeftField, Operation, ReleaseError, Transaction, Wave, definition, ownership};
use todohost_cluster::{ClusterError, is_unmigrated};
use todohost_model::object::{Object, ObjectChange, ObjectRef};

/// What would become of one object. It holds the real data of Secrets.
#[derive(Clone, Debug)]
pub struct Prospective {
    /// Which.
    pub object: ObjectRef,
    /// What would become of it.
    pub change: ObjectChange,
    /// Why it stays or changes, where that is not plain.
    pub reason: Option<String>,
    /// As it is.
    pub before: Option<Object>,
    /// As it would be; `None` where nothing is applied, or the cluster cannot tell yet.
    pub after: Option<Object>,
    /// Fields that would stay as others have them.
    pub left: Vec<LeftField>,
    /// Applying it would change nothing, not even who manages what.
    is_idle: bool,
}

/// What would become of the objects.
#[derive(Clone, Debug, Default)]
pub struct Prospect {
    /// Every object, in the order of the waves.
    pub objects: Vec<Prospective>,
}

impl Prospect {
    /// Those that would change.
    pub fn changes(&self) -> impl Iterator<Item = &Prospective> {
        let stays = |change| matches!(change, ObjectChange::Unchanged | ObjectChange::Kept);
        self.objects.iter().filter(move |one| !stays(one.change))
    }

    /// The object was not there, and would be.
    pub fn creates(&self, object: &ObjectRef) -> bool {
        self.objects.iter().any(|one| one.object == *object && one.change == ObjectChange::Created)
    }

    /// Those that would stay as they are, although not all that stock Helm set of them was applied.
    pub fn unmigrated(&self) -> HashSet<ObjectRef> {
        let is_it = |one: &&Prospective| {
            one.change == ObjectChange::Unchanged && one.before.as_ref().is_some_and(is_unmigrated)
        };
        self.objects.iter().filter(is_it).map(|one| one.object.clone()).collect()
    }

    /// The waves without a write where it would be none.
    #[must_use]
    pub fn spare(&self, waves: Vec<Wave>) -> Vec<Wave> {
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
    /// Asks the API server, by dry runs, what the waves would change. Where the namespace or a kind is still missing,
    /// what belongs there is new. `live` has what is there of the objects, `known` is what the release had before.
    ///
    /// # Errors
    /// `NotOurs` with every object that the release did not make; `Conflicts` with every field that others manage; everything else that the API server would refuse.
    pub async fn prospect(
        &self,
        waves: &[Wave],
        live: &HashMap<ObjectRef, Object>,
        known: &HashSet<ObjectRef>,
        has_namespace: bool,
    ) -> Result<Prospect, ReleaseError> {
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
                    objects.push(Prospective {
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
            None => Ok(Prospect { objects }),
            Some(first) => Err(ReleaseError::refused(first, refusals.collect())),
        }
    }

    /// What was made by others and is taken over, with whose it is.
    fn adopted(
        &self,
        waves: &[Wave],
        live: &HashMap<ObjectRef, Object>,
        known: &HashSet<ObjectRef>,
    ) -> Result<HashMap<ObjectRef, String>, ReleaseError> {
        let own_namespace = todohost_cluster::namespace_ref(&self.namespace);
        let (mut adopted, mut strangers) = (HashMap::new(), Vec::new());
        for operation in waves.iter().flat_map(|wave| &wave.operations) {
            // What is not touched because it is as it should be has to be the release's own, too.
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
            // What was ours and has lost its marks still is.
            if known.contains(&object) && !ownership::is_claimed(found) {
                continue;
            }
            let Some(owner) = ownership::stranger(found, &self.release, &self.namespace) else {
                continue;
            };
            if self.takeover.adopt.iter().any(|adoption| adoption.takes(&object)) {
                adopted.insert(object, format!("adopted: it {owner}"));
            } else {
                strangers.push(Stranger { object, owner });
            }
        }
        if strangers.is_empty() {
            return Ok(adopted);
        }
        Err(ReleaseError::NotOurs { release: self.release.clone(), strangers })
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

/// What a dry run told.
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

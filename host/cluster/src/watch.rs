//! Watches objects with their dependents and events.
//!
//! Owns which lists and watches a set of objects needs, and combines their results. The streams
//! are kube's: they list, watch, and list again if a watch expired or fell silent.

mod family;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll, select_all};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::error::Cause;
use super::{Client, ClusterError};
use todohost_model::object::{Object, ObjectRef};

/// A watch is asked anew after so many seconds: one that fell silent is noticed five seconds later.
pub(super) const WATCH_SECONDS: u32 = 10;

/// A watch that failed is opened again after this long at first, and after this long at most: the pauses of
/// minutes that suit controllers would delay a deploy.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A watch that reports no failure for this long, more than the longest pause, is open again.
const OPEN_AGAIN: Duration = Duration::from_secs(5);

/// Changes that are this close together arrive as one.
const TOGETHER: Duration = Duration::from_millis(40);

/// An object with its dependents and their events, at one moment, without the data of Secrets.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Which object.
    pub object_ref: ObjectRef,
    /// `None` while it does not exist.
    pub object: Option<Object>,
    /// Replica sets, jobs, pods, endpoint slices that it owns, directly or not.
    pub related: Vec<Object>,
    /// Events about any of them, oldest first.
    pub events: Vec<Object>,
}

/// Events of one source, with its number.
type Events = BoxStream<'static, (usize, Result<Event<DynamicObject>, watcher::Error>)>;

/// Snapshots of a set of objects.
pub struct Watch {
    client: Client,
    wanted: Vec<ObjectRef>,
    sources: Vec<Source>,
    streams: SelectAll<Events>,
    /// The parts of the last snapshot of each wanted object.
    told: Vec<Option<Vec<(String, String)>>>,
    /// The first snapshots were given.
    started: bool,
    /// Something arrived since the last ones.
    untold: bool,
    cancel: CancellationToken,
}

/// One kind in one namespace.
struct Source {
    api_version: String,
    kind: String,
    namespace: Option<String>,
    /// Something was asked for that only this source has; others add to the picture.
    needed: bool,
    objects: BTreeMap<String, Object>,
    /// Objects of a list that is not complete yet.
    arriving: Option<BTreeMap<String, Object>>,
    /// There was a whole list.
    listed: bool,
    behind: Option<Behind>,
}

/// The objects of a source may be out of date.
struct Behind {
    since: Instant,
    /// When that was last confirmed: a watch that is open again says nothing until something changes.
    confirmed: Instant,
    error: Option<ClusterError>,
}

impl Behind {
    fn new() -> Self {
        Self { since: Instant::now(), confirmed: Instant::now(), error: None }
    }
}

/// Pauses that double up to a bound, and begin anew after a success.
pub(super) struct Pauses {
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: PAUSES.0 }
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.next;
        self.next = (pause * 2).min(PAUSES.1);
        Some(pause)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        *self = Self::default();
    }
}

impl Client {
    /// Watches objects. The first call of [`Watch::next`] gives one snapshot of each, from one list per kind;
    /// a watch that ends there has opened none.
    ///
    /// # Errors
    /// If a kind is not served.
    pub async fn watch(
        &self,
        objects: &[ObjectRef],
        cancel: CancellationToken,
    ) -> Result<Watch, ClusterError> {
        self.watch_subjects(objects, family::subjects(objects), cancel).await
    }

    async fn watch_subjects(
        &self,
        objects: &[ObjectRef],
        subjects: Vec<family::Subject>,
        cancel: CancellationToken,
    ) -> Result<Watch, ClusterError> {
        let mut sources = Vec::new();
        let mut streams: Vec<Events> = Vec::new();
        for subject in subjects {
            let kind = match self.kind(&subject.api_version, &subject.kind).await {
                Ok(kind) => kind,
                Err(ClusterError::UnknownKind { .. }) if !subject.needed => continue,
                Err(error) => return Err(error),
            };
            let (group, version) =
                kind.api_version.split_once('/').unwrap_or(("", kind.api_version.as_str()));
            let resource = ApiResource::from_gvk_with_plural(
                &GroupVersionKind::gvk(group, version, &kind.kind),
                &kind.plural,
            );
            let http = self.shared.http.clone();
            let api: Api<DynamicObject> = match &subject.namespace {
                Some(namespace) if kind.namespaced => {
                    Api::namespaced_with(http, namespace, &resource)
                }
                _ => Api::all_with(http, &resource),
            };
            let config = watcher::Config {
                field_selector: subject.selector.clone(),
                ..watcher::Config::default().timeout(WATCH_SECONDS)
            };
            let number = sources.len();
            streams.push(
                watcher(api, config)
                    .backoff(Pauses::default())
                    .map(move |event| (number, event))
                    .boxed(),
            );
            sources.push(Source {
                api_version: subject.api_version,
                kind: subject.kind,
                namespace: subject.namespace,
                needed: subject.needed,
                objects: BTreeMap::new(),
                arriving: None,
                listed: false,
                behind: Some(Behind::new()),
            });
        }
        Ok(Watch {
            client: self.clone(),
            told: vec![None; objects.len()],
            wanted: objects.to_vec(),
            sources,
            streams: select_all(streams),
            started: false,
            untold: false,
            cancel,
        })
    }
}

impl Client {
    /// Waits until an object is gone, or another one has its name.
    ///
    /// # Errors
    /// `Timeout`; errors of the connection.
    pub async fn wait_gone(
        &self,
        object: &ObjectRef,
        uid: &str,
        limit: Duration,
    ) -> Result<(), ClusterError> {
        let waiting = async {
            let stopped = || ClusterError::Stopped { action: format!("finish deleting {object}") };
            let mut watch = self.watch_alone(object).await?;
            loop {
                let snapshots = watch.next().await?.ok_or_else(stopped)?;
                let live = snapshots.first().and_then(|snapshot| snapshot.object.as_ref());
                if live.and_then(|live| live.pointer("/metadata/uid")?.as_str()) != Some(uid) {
                    break;
                }
            }
            Ok(())
        };
        match timeout(limit, waiting).await {
            // Its definition went first and took it along.
            Ok(Err(ClusterError::UnknownKind { .. })) => Ok(()),
            Ok(result) => result,
            Err(_) => {
                Err(ClusterError::Timeout { action: format!("finish deleting {object}"), limit })
            }
        }
    }

    /// Waits until an object differs from that version, at most for `limit`.
    ///
    /// # Errors
    /// Errors of the connection.
    pub async fn wait_changed(
        &self,
        object: &ObjectRef,
        version: &str,
        limit: Duration,
    ) -> Result<(), ClusterError> {
        let waiting = async {
            let mut watch = self.watch_alone(object).await?;
            while let Some(snapshots) = watch.next().await? {
                let live = snapshots.first().and_then(|snapshot| snapshot.object.as_ref());
                let now = live.and_then(|live| live.pointer("/metadata/resourceVersion")?.as_str());
                if now != Some(version) {
                    break;
                }
            }
            Ok(())
        };
        timeout(limit, waiting).await.unwrap_or(Ok(()))
    }

    /// Watches one object, without its dependents.
    pub(super) async fn watch_alone(&self, object: &ObjectRef) -> Result<Watch, ClusterError> {
        let alone = vec![family::alone(object)];
        self.watch_subjects(std::slice::from_ref(object), alone, self.stop()).await
    }
}

impl Watch {
    /// Waits for the next change and gives a snapshot of every object that it touched: all of them at first.
    /// The next changes; `None` after cancellation. A dropped call loses nothing: the next one returns its changes.
    ///
    /// # Errors
    /// If the cluster was away for longer than the client's deadline.
    pub async fn next(&mut self) -> Result<Option<Vec<Snapshot>>, ClusterError> {
        let cancelled = self.cancel.clone();
        // The first lists are the whole picture: waiting for more than them would open the watches.
        while !self.started && self.sources.iter().any(Source::is_missing) {
            let patience = self.patience()?;
            tokio::select! {
                biased;
                () = cancelled.cancelled() => return Ok(None),
                event = timeout(patience, self.streams.next()) => {
                    if let Ok(Some((number, event))) = event {
                        self.take(number, event)?;
                    }
                }
            }
        }
        if !self.started {
            self.started = true;
            return Ok(Some(self.changed()));
        }
        loop {
            let patience = self.patience()?;
            tokio::select! {
                biased;
                () = cancelled.cancelled() => return Ok(None),
                // A caller may have given up the last call after something had arrived.
                () = std::future::ready(()), if self.untold => {}
                event = timeout(patience, self.streams.next()) => match event {
                    Ok(Some((number, event))) => self.take(number, event)?,
                    // Nothing is watched, so nothing will change.
                    Ok(None) => cancelled.cancelled().await,
                    Err(_) => continue,
                }
            }
            let until = Instant::now() + TOGETHER;
            while let Ok(Some((number, event))) = timeout_at(until, self.streams.next()).await {
                self.take(number, event)?;
            }
            let snapshots = self.changed();
            if !snapshots.is_empty() {
                return Ok(Some(snapshots));
            }
        }
    }

    /// How long to wait for the next event; an error once a list is overdue that was asked for.
    fn patience(&mut self) -> Result<Duration, ClusterError> {
        let limit = self.client.timeouts.call;
        let mut patience = limit;
        for source in &mut self.sources {
            if source.has_recovered() {
                source.behind = None;
            }
            let Some(Behind { since, error, .. }) = &source.behind else { continue };
            let left = limit.saturating_sub(since.elapsed());
            if !left.is_zero() {
                patience = patience.min(left);
            } else if source.needed {
                let action = format!("list {} {}", source.api_version, source.kind);
                return Err(error.clone().unwrap_or(ClusterError::Timeout { action, limit }));
            } else {
                source.behind = None;
            }
        }
        Ok(patience)
    }

    fn take(
        &mut self,
        number: usize,
        event: Result<Event<DynamicObject>, watcher::Error>,
    ) -> Result<(), ClusterError> {
        self.untold = true;
        let Some(source) = self.sources.get_mut(number) else { return Ok(()) };
        match event {
            Ok(Event::Init) => {
                source.arriving = Some(BTreeMap::new());
                source.behind.get_or_insert_with(Behind::new);
            }
            Ok(Event::InitApply(object)) => {
                let (key, object) = source.keyed(&object);
                source.arriving.get_or_insert_default().insert(key, object);
            }
            Ok(Event::InitDone) => {
                source.objects = source.arriving.take().unwrap_or_default();
                source.listed = true;
                source.behind = None;
            }
            Ok(Event::Apply(object)) => {
                let (key, object) = source.keyed(&object);
                source.objects.insert(key, object);
                source.behind = None;
            }
            Ok(Event::Delete(object)) => {
                let (key, _) = source.keyed(&object);
                source.objects.remove(&key);
                source.behind = None;
            }
            Err(error) => {
                let action = format!("watch {} {}", source.api_version, source.kind);
                let error = self.client.watch_error(error, action);
                match (error, source.needed) {
                    // Without permission to read events, snapshots have none.
                    (Some(ClusterError::Forbidden { .. }), false) => source.behind = None,
                    (
                        Some(
                            error @ (ClusterError::Forbidden { .. }
                            | ClusterError::Unauthorised { .. }),
                        ),
                        true,
                    ) => return Err(error),
                    (Some(error), _) => {
                        let behind = source.behind.get_or_insert_with(Behind::new);
                        behind.confirmed = Instant::now();
                        behind.error = Some(error);
                    }
                    (None, _) => {}
                }
            }
        }
        Ok(())
    }

    /// Snapshots of the wanted objects of which something is new.
    fn changed(&mut self) -> Vec<Snapshot> {
        self.untold = false;
        let families =
            family::Families::of(self.sources.iter().flat_map(|source| source.objects.values()));
        let mut snapshots = Vec::new();
        for (wanted, told) in self.wanted.iter().zip(&mut self.told) {
            let object = self
                .sources
                .iter()
                .filter(|source| {
                    source.api_version == wanted.api_version
                        && source.kind == wanted.kind
                        && (source.namespace.is_none() || source.namespace == wanted.namespace)
                })
                .find_map(|source| {
                    source.objects.get(&key(wanted.namespace.as_deref(), &wanted.name))
                });
            let snapshot = families.snapshot(wanted, object);
            let state = family::state(&snapshot);
            if told.as_ref() != Some(&state) {
                *told = Some(state);
                snapshots.push(snapshot);
            }
        }
        snapshots
    }
}

impl Source {
    /// Nothing is known yet, and it is worth waiting for.
    fn is_missing(&self) -> bool {
        match &self.behind {
            Some(behind) if !self.listed => self.needed || behind.error.is_none(),
            _ => false,
        }
    }

    /// The watch that failed has been open for a while; a list that failed has to arrive.
    fn has_recovered(&self) -> bool {
        self.listed
            && self.arriving.is_none()
            && self.behind.as_ref().is_some_and(|one| one.confirmed.elapsed() >= OPEN_AGAIN)
    }

    /// The object with `apiVersion` and `kind`, under its key.
    fn keyed(&self, object: &DynamicObject) -> (String, Object) {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let key = key(object.metadata.namespace.as_deref(), name);
        let mut document = serde_json::to_value(object).unwrap_or_default();
        if let Some(map) = document.as_object_mut() {
            map.insert("apiVersion".to_owned(), self.api_version.clone().into());
            map.insert("kind".to_owned(), self.kind.clone().into());
            if self.kind == "Secret" {
                map.shift_remove("data");
            }
            if let Some(metadata) =
                map.get_mut("metadata").and_then(serde_json::Value::as_object_mut)
            {
                metadata.shift_remove("managedFields");
            }
        }
        (key, document)
    }
}

fn key(namespace: Option<&str>, name: &str) -> String {
    format!("{}/{name}", namespace.unwrap_or_default())
}

impl Client {
    /// The error of a watch; `None` if the watch recovers from it.
    fn watch_error(&self, error: watcher::Error, action: String) -> Option<ClusterError> {
        let (watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error)) = error
        else {
            // An expired resource version, mostly: the stream lists anew.
            return None;
        };
        Some(match &error {
            kube::Error::Api(status) => match status.code {
                403 if !self.has_just_lost() => {
                    ClusterError::Forbidden { action, cause: Cause::new(status.message.clone()) }
                }
                401 => self.unreachable(&error),
                410 => return None,
                _ => ClusterError::Server { action, cause: Cause::new(status.message.clone()) },
            },
            _ => {
                self.note_loss();
                self.unreachable(&error)
            }
        })
    }
}

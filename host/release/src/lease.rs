//! The lease of a release: one deploy at a time, from all users and machines.
//!
//! Owns taking, renewing and giving back a Lease object. Whether another holder lives is judged by its renewals on
//! this machine's own monotonic clock, never by comparing wall clocks. A holder on this very machine is known to be
//! dead at once: the file that it kept locked is free. A holder that could not renew for a while goes on until it
//! sees that someone else took over; the revision that either makes next is the fence between the two.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fs_err as fs;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ReleaseError;
use todohost_cluster::{Client, ClusterError, Timeouts};
use todohost_model::object::{Object, ObjectRef};
use todohost_secrets::Salt;

/// A holder that has not renewed for so long is dead.
const DURATION: Duration = Duration::from_secs(15);

/// How often a holder renews: two renewals may be lost.
const RENEWAL: Duration = Duration::from_secs(5);

/// How often it is looked whether a holder on this machine still lives.
const LOOK: Duration = Duration::from_millis(500);

/// The lease of one release.
#[derive(Clone)]
pub struct Lease {
    client: Client,
    named: ObjectRef,
    release: String,
    /// The person, as shown to others: `ada@laptop`.
    person: String,
    /// Folder with the lock files of holders on this machine.
    folder: PathBuf,
    /// How long another deploy is waited for.
    patience: Duration,
    /// The version of the lease whose holder was found dead, so that no call waits for it twice.
    stale_version: Arc<Mutex<String>>,
}

/// The holder of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// E.g. `ada@laptop`.
    pub person: String,
    /// Since when, as the holder's clock had it.
    pub since: String,
    /// Distinguishes two holders of the same person.
    id: String,
    duration: Duration,
}

impl Holder {
    /// `None` for a lease that was given back.
    fn of(lease: &Object) -> Option<Self> {
        let spec = lease.get("spec")?;
        let text = |field: &str| spec.get(field).and_then(Value::as_str).unwrap_or_default();
        let identity = text("holderIdentity");
        let (person, id) = identity.rsplit_once('/').unwrap_or((identity, ""));
        let seconds = spec.get("leaseDurationSeconds").and_then(Value::as_u64).unwrap_or(0);
        // A duration that makes no sense must not make anyone wait for ever.
        let duration = Duration::from_secs(seconds.clamp(1, 60));
        let acquired = text("acquireTime");
        let since = acquired
            .split_once('.')
            .map_or_else(|| acquired.to_owned(), |(whole, _)| format!("{whole}Z"));
        (!identity.is_empty()).then(|| Self {
            person: person.to_owned(),
            since,
            id: id.to_owned(),
            duration,
        })
    }
}

/// The observed lease of another holder, which is alive while its lease keeps changing. Times in the lease do not count,
/// nor does the wall clock of this machine.
#[derive(Default)]
struct Watched {
    /// The version of the lease, and since when it is the same.
    seen: Option<(String, Instant)>,
}

impl Watched {
    /// Looks at the lease `now`: has it been the same for as long as it lasts?
    fn is_silent(&mut self, lease: &Object, holder: &Holder, now: Instant) -> bool {
        let version = text(lease, "/metadata/resourceVersion");
        match &self.seen {
            Some((known, since)) if known == version => {
                now.duration_since(*since) >= holder.duration
            }
            _ => {
                self.seen = Some((version.to_owned(), now));
                false
            }
        }
    }
}

/// A lease that this process holds; it is renewed until it is given back or lost.
pub struct Held {
    lease: Lease,
    uid: String,
    stop: CancellationToken,
    lost: CancellationToken,
    lock: PathBuf,
    // Locked for as long as the process lives, however it ends.
    _file: File,
}

impl Lease {
    /// The lease of a release; makes no request yet. `folder` has the lock files of this machine's holders, and
    /// `patience` is the longest wait for another holder.
    pub fn new(
        client: Client,
        namespace: &str,
        release: &str,
        person: String,
        folder: PathBuf,
        patience: Duration,
    ) -> Self {
        let named = ObjectRef {
            api_version: "coordination.k8s.io/v1".to_owned(),
            kind: "Lease".to_owned(),
            namespace: Some(namespace.to_owned()),
            name: format!("todohost.{release}"),
        };
        Self {
            client,
            named,
            release: release.to_owned(),
            person,
            folder,
            patience,
            stale_version: Arc::default(),
        }
    }

    /// Waits until no live holder has it. Calls `tell` for each holder that it waits for.
    ///
    /// # Errors
    /// `Held` after the timeout; errors of the cluster.
    pub async fn wait_until_free(
        &self,
        tell: &(dyn Fn(&Holder) + Sync),
    ) -> Result<(), ReleaseError> {
        self.until_free(tell).await.map(drop)
    }

    /// Takes the lease when no live holder has it. The namespace must exist. If the lease is lost later, `stop` is
    /// cancelled. If `stop` is cancelled before, the lease is not taken.
    ///
    /// # Errors
    /// As [`Lease::wait_until_free`]; `Cancelled`; `Unlockable` if this machine cannot write the lock file.
    pub async fn take(
        &self,
        tell: &(dyn Fn(&Holder) + Sync),
        stop: CancellationToken,
    ) -> Result<Held, ReleaseError> {
        let id = new_id()?;
        let lock = self.folder.join(&id);
        let file = self.lock(&lock)?;
        // Usually there is no lease, so create it at once, and read it only if it exists.
        let mut free = None;
        loop {
            let taken = match self.write(&self.document(&id, free.as_ref()), &stop).await {
                // Someone was quicker: look again.
                Err(ClusterError::Precondition { .. }) => {
                    free = tokio::select! {
                        biased;
                        () = stop.cancelled() => return Err(ReleaseError::Cancelled),
                        free = self.until_free(tell) => free?,
                    };
                    continue;
                }
                Err(error) if error.leaves_doubt() => {
                    self.release_unconfirmed(&id).await;
                    return Err(error.into());
                }
                taken => taken?,
            };
            let uid = text(&taken, "/metadata/uid").to_owned();
            let lost = CancellationToken::new();
            // A stopped run holds the lease until it has rolled back.
            let lease =
                Self { client: self.client.without_cancel(Timeouts::BRIEF), ..self.clone() };
            let renewal = Renewal {
                client: lease.client.clone(),
                named: self.named.clone(),
                lease: taken,
                lost: lost.clone(),
                stop: stop.clone(),
            };
            let done = CancellationToken::new();
            tokio::spawn(done.clone().run_until_cancelled_owned(renewal.run()));
            return Ok(Held { lease, uid, stop: done, lost, lock, _file: file });
        }
    }

    /// Creates the lease, or overwrites the version that `wanted` names. A stop does not cancel the request, since the
    /// server may have carried it out; the wait for its answer is short then.
    async fn write(
        &self,
        wanted: &Object,
        stop: &CancellationToken,
    ) -> Result<Object, ClusterError> {
        let client = self.client.without_cancel(Timeouts::default());
        let is_new = text(wanted, "/metadata/resourceVersion").is_empty();
        let written = async {
            if is_new { client.create(wanted).await } else { client.replace(wanted).await }
        };
        let given_up = async {
            stop.cancelled().await;
            sleep(Timeouts::BRIEF.request).await;
        };
        tokio::select! {
            written = written => written,
            () = given_up => Err(ClusterError::Stopped { action: format!("take {}", self.named) }),
        }
    }

    /// Deletes a lease that may have been created without an answer. If that fails, the lease expires.
    async fn release_unconfirmed(&self, id: &str) {
        let client = self.client.without_cancel(Timeouts::BRIEF);
        let Ok(Some(lease)) = client.get(&self.named).await else { return };
        if Holder::of(&lease).is_some_and(|holder| holder.id == id) {
            let _ = client.delete(&self.named, Some(text(&lease, "/metadata/uid"))).await;
        }
    }

    fn lock(&self, path: &PathBuf) -> Result<File, ReleaseError> {
        let locked = fs::create_dir_all(&self.folder)
            .and_then(|()| fs::File::create(path))
            .map(fs::File::into_file)
            .and_then(|file| file.lock().map(|()| file));
        locked
            .map_err(|source| ReleaseError::Unlockable { path: path.display().to_string(), source })
    }

    /// Waits until no live holder has the lease, and returns it; `None` if it does not exist.
    async fn until_free(
        &self,
        tell: &(dyn Fn(&Holder) + Sync),
    ) -> Result<Option<Object>, ReleaseError> {
        let began = Instant::now();
        let mut watched = Watched::default();
        loop {
            let Some(lease) = self.client.get(&self.named).await? else { return Ok(None) };
            let Some(holder) = Holder::of(&lease) else { return Ok(Some(lease)) };
            let version = text(&lease, "/metadata/resourceVersion");
            let is_new = watched.seen.is_none();
            let has_run_out = watched.is_silent(&lease, &holder, Instant::now());
            if has_run_out || self.is_stale(version) || self.holder_exited(&holder) {
                version.clone_into(&mut self.stale_version());
                return Ok(Some(lease));
            }
            if is_new {
                tell(&holder);
            }
            if began.elapsed() >= self.patience {
                let Holder { person, since, .. } = holder;
                return Err(ReleaseError::Held { release: self.release.clone(), person, since });
            }
            self.client.wait_changed(&self.named, version, LOOK).await?;
        }
    }

    fn is_stale(&self, version: &str) -> bool {
        *self.stale_version() == version
    }

    fn stale_version(&self) -> MutexGuard<'_, String> {
        self.stale_version.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The holder ran on this machine, and its process has exited.
    fn holder_exited(&self, holder: &Holder) -> bool {
        let is_id = !holder.id.is_empty() && holder.id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id {
            return false;
        }
        let path = self.folder.join(&holder.id);
        let Ok(file) = fs::File::open(&path) else { return false };
        match file.into_file().try_lock() {
            Ok(()) => {
                // No later run will look for it.
                let _ = fs::remove_file(&path);
                true
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
        }
    }

    fn document(&self, id: &str, before: Option<&Object>) -> Object {
        let now = micro_time(Timestamp::now());
        let transitions =
            before.and_then(|lease| lease.pointer("/spec/leaseTransitions")?.as_u64());
        let mut metadata = json!({
            "name": self.named.name, "namespace": self.named.namespace,
            "labels": { "owner": "todohost", "name": self.release },
        });
        if let Some(before) = before {
            metadata["resourceVersion"] = text(before, "/metadata/resourceVersion").into();
        }
        json!({
            "apiVersion": self.named.api_version, "kind": self.named.kind, "metadata": metadata,
            "spec": {
                "holderIdentity": format!("{}/{id}", self.person),
                "leaseDurationSeconds": DURATION.as_secs(),
                "acquireTime": now, "renewTime": now,
                "leaseTransitions": transitions.map_or(0, |count| count + 1),
            },
        })
    }
}

impl Held {
    /// Someone else took it over: nothing may be written any more.
    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Gives it back.
    ///
    /// # Errors
    /// Errors of the cluster. The lease then expires.
    pub async fn give_back(self) -> Result<(), ReleaseError> {
        self.stop.cancel();
        let deleted = if self.is_lost() {
            Ok(true)
        } else {
            self.lease.client.delete(&self.lease.named, Some(&self.uid)).await
        };
        let _ = fs::remove_file(&self.lock);
        match deleted {
            // Someone else has made one by the same name.
            Ok(_) | Err(ClusterError::Precondition { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.stop.cancel();
        let _ = fs::remove_file(&self.lock);
    }
}

/// Shows that the holder lives.
struct Renewal {
    client: Client,
    named: ObjectRef,
    lease: Object,
    lost: CancellationToken,
    stop: CancellationToken,
}

impl Renewal {
    async fn run(mut self) {
        loop {
            sleep(RENEWAL).await;
            self.lease["spec"]["renewTime"] = micro_time(Timestamp::now()).into();
            match timeout(RENEWAL, self.client.replace(&self.lease)).await {
                Ok(Ok(renewed)) => self.lease = renewed,
                Ok(Err(ClusterError::Precondition { .. })) => {
                    if !self.is_still_ours().await {
                        self.lost.cancel();
                        self.stop.cancel();
                        return;
                    }
                }
                // A cluster that is away for a moment comes back.
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }

    /// An earlier renewal may have been written although its answer was lost.
    async fn is_still_ours(&mut self) -> bool {
        let Ok(Ok(found)) = timeout(RENEWAL, self.client.get(&self.named)).await else {
            return true;
        };
        let ours = text(&self.lease, "/spec/holderIdentity").to_owned();
        match found {
            Some(lease) if text(&lease, "/spec/holderIdentity") == ours => {
                self.lease = lease;
                true
            }
            _ => false,
        }
    }
}

fn text<'a>(object: &'a Object, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn new_id() -> Result<String, ReleaseError> {
    let salt = Salt::random()?;
    Ok(salt.as_bytes()[..8].iter().fold(String::new(), |id, byte| format!("{id}{byte:02x}")))
}

/// A time as the API server wants it: with six decimal places.
fn micro_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::SignedDuration;

    use super::*;

    #[test]
    fn the_holder_of_a_lease_is_read() {
        let lease = json!({ "spec": { "holderIdentity": "ada@laptop/00ff", "leaseDurationSeconds": 900_000,
            "acquireTime": "2026-11-21T05:00:00.123456Z" } });
        let holder = Holder::of(&lease).unwrap();
        assert_eq!((holder.person.as_str(), holder.id.as_str()), ("ada@laptop", "00ff"));
        assert_eq!(holder.since, "2026-11-21T05:00:00Z");
        assert_eq!(
            holder.duration,
            Duration::from_mins(1),
            "a holder cannot make others wait for days"
        );
        assert_eq!(Holder::of(&json!({ "spec": { "holderIdentity": "" } })), None);
        assert_eq!(Holder::of(&json!({ "spec": {} })), None);
    }

    #[test]
    fn times_have_six_decimal_places() {
        let time = "2026-11-21T05:00:00.1234Z".parse().unwrap();
        assert_eq!(micro_time(time), "2026-11-21T05:00:00.123400Z");
    }

    /// The times in the lease are those of a machine whose clock is set while it deploys, and the one that waits has
    /// a clock of its own.
    #[test]
    fn a_wall_clock_that_jumps_neither_loses_nor_steals_a_lease() {
        let began = Instant::now();
        let at = |after: Duration| began + after;
        let now = Timestamp::now();
        let hours = |hours: i64| now + SignedDuration::from_hours(hours);
        let lease = |version: usize, wall: Timestamp| {
            json!({ "metadata": { "resourceVersion": version.to_string() }, "spec": {
                "holderIdentity": "ada@laptop/00ff", "leaseDurationSeconds": DURATION.as_secs(),
                "acquireTime": micro_time(hours(-9)), "renewTime": micro_time(wall) } })
        };
        let mut watched = Watched::default();
        let mut look = |lease: &Object, after: Duration| {
            watched.is_silent(lease, &Holder::of(lease).unwrap(), at(after))
        };
        let jumps = [0, 5, -7, 24, -24, 0, -1, 1];
        let mut after = Duration::ZERO;
        for (version, jump) in jumps.into_iter().enumerate() {
            let lease = lease(version, hours(jump));
            let renewed = after;
            // Two renewals may be lost.
            while after < renewed + RENEWAL * 2 {
                assert!(!look(&lease, after), "stolen {after:?} after it began, at {jump} hours");
                after += LOOK;
            }
        }
        // A silent holder counts as dead, neither at once nor hours later.
        for (version, jump) in [(90, 24), (91, -24)] {
            let lease = lease(version, hours(jump));
            assert!(!look(&lease, after));
            after += DURATION.saturating_sub(LOOK);
            assert!(!look(&lease, after), "at {jump} hours");
            after += LOOK;
            assert!(look(&lease, after), "at {jump} hours");
        }
    }
}

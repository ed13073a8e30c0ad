//! One call of a component: instance, deadline, cancellation, and what a failure means.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, Trap, WasmBacktrace};

use super::{Fault, LastWords, Plugin, PluginError, Role, State, wit};
use crate::capability::World;
use todohost_model::event::{Bus, EventKind};

/// All that a call needs besides its arguments.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// Where its events go; bound to target and step by the caller.
    pub bus: Bus,
    /// Stops the call, and every program that it runs.
    pub cancel: CancellationToken,
    /// Time that one call has.
    pub deadline: Duration,
    /// What its capabilities act on.
    pub world: Arc<World>,
    /// Its clock and randomness.
    pub environment: EnvironmentSeed,
}

/// Clock and randomness of a call: the same seed gives the same call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvironmentSeed {
    /// Nanoseconds since the Unix epoch: the deploy's time.
    pub now: u64,
    /// What its random stream begins with.
    pub random: [u8; 32],
}

/// What calls of a handle touched; says whether their results may be remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFacts {
    /// They read the cluster.
    pub read_cluster: bool,
    /// They wrote to the cluster.
    pub wrote_cluster: bool,
    /// They ran programs.
    pub ran_programs: bool,
    /// They opened connections.
    pub used_network: bool,
    /// They read the clock or the random stream, which the seed decides.
    pub used_environment: bool,
    /// Project-relative paths and patterns that they read.
    pub workspace: BTreeSet<String>,
    /// Files of the user that they read.
    pub user_files: BTreeSet<String>,
}

/// A role's exported functions, bound to an instance.
pub(super) trait Export: Sized + Send + 'static {
    const ROLE: Role;
    fn bind(
        pre: &InstancePre<State>,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> wasmtime::Result<Self>;
}

/// A live instance.
pub(super) struct Live<E> {
    pub store: Store<State>,
    pub export: E,
}

/// What a call of an export gives: the engine's failure outside, the component's own inside.
pub(super) type Answer<T> = wasmtime::Result<Result<T, wit::Error>>;

/// Calls of one role of one component.
pub(super) struct Session<E> {
    plugin: Arc<Plugin>,
    context: CallContext,
    live: Option<Live<E>>,
    facts: CallFacts,
}

/// A call's task must not outlive whoever waits for it.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

enum Ended<E, T> {
    Answered(Live<E>, Result<T, wit::Error>),
    Failed(Fault, LastWords),
    Cancelled,
}

impl<E: Export> Session<E> {
    pub(super) fn new(plugin: Arc<Plugin>, context: CallContext) -> Self {
        Self { plugin, context, live: None, facts: CallFacts::default() }
    }

    pub(super) fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    pub(super) fn facts(&self) -> &CallFacts {
        &self.facts
    }

    /// Calls one export. The instance is kept for pure roles, and never after a failure.
    pub(super) async fn call<T: Send + 'static>(
        &mut self,
        function: &'static str,
        work: impl for<'live> FnOnce(&'live mut Live<E>) -> BoxFuture<'live, Answer<T>> + Send + 'static,
    ) -> Result<T, PluginError> {
        let export = format!("{}.{function}", E::ROLE);
        let began = Instant::now();
        let pre = tokio::select! {
            biased;
            () = self.context.cancel.cancelled() => return Err(self.cancelled(export)),
            pre = self.plugin.prepare(&self.context.bus) => pre?,
        };
        let task = run(Arc::clone(&self.plugin), self.context.clone(), pre, self.live.take(), work);
        // A task of its own: a component that computes does not hold up its caller's other work,
        // and a panic in a host function ends here.
        let mut task = AbortOnDrop(tokio::spawn(task));
        let ended = (&mut task.0).await;
        let answered = matches!(&ended, Ok(Ended::Answered(_, Ok(_))));
        self.context.bus.send(EventKind::PluginCall {
            plugin: self.plugin.info().id.clone(),
            version: self.plugin.info().version.to_string(),
            export: export.clone(),
            elapsed_ms: milliseconds(began.elapsed()),
            limit_ms: milliseconds(self.context.deadline),
            ok: answered,
        });
        let (fault, last_words) = match ended {
            Ok(Ended::Answered(mut live, answer)) => {
                self.facts.merge(std::mem::take(&mut live.store.data_mut().facts));
                if E::ROLE.is_pure() && E::ROLE != Role::Render {
                    self.live = Some(live);
                }
                return match answer {
                    // It was told that a call of its own was given up: that is no failure of its own.
                    Err(_) if self.context.cancel.is_cancelled() => Err(self.cancelled(export)),
                    answer => answer.map_err(|error| self.answered(export, error)),
                };
            }
            Ok(Ended::Cancelled) => return Err(self.cancelled(export)),
            Ok(Ended::Failed(fault, last_words)) => (fault, last_words),
            Err(error) => (Fault::Host { reason: error.to_string() }, LastWords::default()),
        };
        Err(PluginError::Misbehaved {
            plugin: self.plugin.info().id.clone(),
            version: self.plugin.info().version.to_string(),
            export,
            fault,
            last_words: Box::new(last_words),
        })
    }

    fn cancelled(&self, export: String) -> PluginError {
        PluginError::Cancelled { plugin: self.plugin.info().id.clone(), export }
    }

    /// What a component says is shown: redacted, and in a bound.
    fn answered(&self, export: String, error: wit::Error) -> PluginError {
        let clean = |text: String| {
            let mut text = self.context.world.vault.redact(&text);
            if let Some((end, _)) = text.char_indices().nth(4000) {
                text.truncate(end);
            }
            text
        };
        let error = wit::Error {
            kind: error.kind,
            code: clean(error.code),
            message: clean(error.message),
            causes: error.causes.into_iter().take(30).map(clean).collect(),
            help: error.help.map(clean),
        };
        PluginError::Answered {
            plugin: self.plugin.info().id.clone(),
            role: E::ROLE,
            export,
            error: Box::new(error),
        }
    }
}

async fn run<E: Export, T: Send + 'static>(
    plugin: Arc<Plugin>,
    context: CallContext,
    pre: InstancePre<State>,
    live: Option<Live<E>>,
    work: impl for<'live> FnOnce(&'live mut Live<E>) -> BoxFuture<'live, Answer<T>> + Send + 'static,
) -> Ended<E, T> {
    let (cancel, deadline) = (context.cancel.clone(), context.deadline);
    let ends = tokio::time::Instant::now() + deadline;
    let mut live = if let Some(live) = live {
        live
    } else {
        let mut store = new_store(&plugin, E::ROLE, context);
        let started = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ended::Cancelled,
            started = tokio::time::timeout_at(ends, start::<E>(&pre, &mut store)) => started,
        };
        match started {
            Ok(Ok(export)) => Live { store, export },
            Ok(Err(error)) => {
                let fault = Fault::Start { reason: format!("{error:#}") };
                return failed(fault, &error, &store);
            }
            Err(_) => return late(deadline, &store),
        }
    };
    live.store.data_mut().begin_call();
    let answer = tokio::select! {
        biased;
        () = cancel.cancelled() => return Ended::Cancelled,
        answer = tokio::time::timeout_at(ends, work(&mut live)) => answer,
    };
    match answer {
        Ok(Ok(answer)) => Ended::Answered(live, answer),
        Ok(Err(error)) => {
            let reason = error.root_cause().to_string();
            let fault = if error.is::<Trap>() || error.is::<WasmBacktrace>() {
                Fault::Trap { reason }
            } else {
                Fault::Host { reason: format!("{error:#}") }
            };
            failed(fault, &error, &live.store)
        }
        Err(_) => late(deadline, &live.store),
    }
}

fn new_store(plugin: &Plugin, role: Role, context: CallContext) -> Store<State> {
    let state = State::new(plugin, role, context, plugin.memory());
    let mut store = Store::new(plugin.engine(), state);
    store.limiter(|state| &mut state.limiter);
    // The first deadline must be one tick: until it is reached, nothing yields.
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    store
}

async fn start<E: Export>(
    pre: &InstancePre<State>,
    store: &mut Store<State>,
) -> wasmtime::Result<E> {
    let instance = pre.instantiate_async(&mut *store).await?;
    E::bind(pre, store, &instance)
}

fn failed<E, T>(fault: Fault, error: &wasmtime::Error, store: &Store<State>) -> Ended<E, T> {
    let fault = match store.data().limiter.refused() {
        Some((wanted, limit)) => Fault::Memory { wanted, limit },
        None => fault,
    };
    let backtrace = error
        .downcast_ref::<WasmBacktrace>()
        .map(|backtrace| backtrace.frames().iter().take(20).filter_map(frame).collect())
        .unwrap_or_default();
    Ended::Failed(fault, LastWords { backtrace, log: store.data().last_words() })
}

fn late<E, T>(limit: Duration, store: &Store<State>) -> Ended<E, T> {
    let log = store.data().last_words();
    Ended::Failed(Fault::Deadline { limit }, LastWords { backtrace: Vec::new(), log })
}

fn frame(frame: &wasmtime::FrameInfo) -> Option<String> {
    let symbol = frame.symbols().first();
    let name = symbol.and_then(|symbol| symbol.name()).or_else(|| frame.func_name())?;
    let place = symbol
        .and_then(|symbol| Some(format!(" ({}:{})", symbol.file()?, symbol.line()?)))
        .unwrap_or_default();
    Some(crate::capability::log::printable(&format!("{name}{place}")))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl CallFacts {
    fn merge(&mut self, other: Self) {
        self.read_cluster |= other.read_cluster;
        self.wrote_cluster |= other.wrote_cluster;
        self.ran_programs |= other.ran_programs;
        self.used_network |= other.used_network;
        self.used_environment |= other.used_environment;
        self.workspace.extend(other.workspace);
        self.user_files.extend(other.user_files);
    }
}

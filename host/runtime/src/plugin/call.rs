//! One call of a component: instance, deadline, cancellation and the classification of failures.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, Trap, WasmBacktrace};

use super::{CrashReport, Plugin, PluginError, PluginFault, Role, State, wit};
use crate::capability::CallEnvironment;
use todohost_model::event::{Bus, EventKind};

/// The inputs of a call besides its arguments.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// Receives the call's events; bound to target and step by the caller.
    pub bus: Bus,
    /// Stops the call, and the programs that it runs.
    pub cancel: CancellationToken,
    /// Maximum duration of one call.
    pub deadline: Duration,
    /// The resources of its capabilities.
    pub environment: Arc<CallEnvironment>,
    /// The seed of its clock and randomness.
    pub seed: EnvironmentSeed,
}

/// Clock and randomness of a call. Calls with equal seeds and inputs give equal results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvironmentSeed {
    /// The time of the deploy, in nanoseconds since the Unix epoch.
    pub now: u64,
    /// The seed of the random stream.
    pub random: [u8; 32],
}

/// Side effects and inputs of a handle's calls. The engine uses them to decide whether a result can be cached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFacts {
    /// The calls read the cluster.
    pub read_cluster: bool,
    /// The calls wrote to the cluster.
    pub wrote_cluster: bool,
    /// The calls ran programs.
    pub ran_programs: bool,
    /// The calls opened connections.
    pub used_network: bool,
    /// The calls read the clock or the random stream, which depend on the seed.
    pub used_environment: bool,
    /// Project-relative paths and patterns that the calls read.
    pub workspace: BTreeSet<String>,
    /// Files of the user that the calls read.
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

/// The result of an export: the outer error is the engine's, the inner one the component's.
pub(super) type CallResult<T> = wasmtime::Result<Result<T, wit::Error>>;

/// Calls of one role of one component.
pub(super) struct Session<E> {
    plugin: Arc<Plugin>,
    context: CallContext,
    live: Option<Live<E>>,
    facts: CallFacts,
}

/// Aborts a call's task if its caller stops waiting for it.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

enum CallEnd<E, T> {
    Answered(Live<E>, Result<T, wit::Error>),
    Failed(PluginFault, CrashReport),
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

    /// Calls one export. The instance is reused for `apply` and `verify`, but never after a failure.
    pub(super) async fn call<T: Send + 'static>(
        &mut self,
        function: &'static str,
        work: impl for<'live> FnOnce(&'live mut Live<E>) -> BoxFuture<'live, CallResult<T>>
        + Send
        + 'static,
    ) -> Result<T, PluginError> {
        let export = format!("{}.{function}", E::ROLE);
        let began = Instant::now();
        let pre = tokio::select! {
            biased;
            () = self.context.cancel.cancelled() => return Err(self.cancelled(export)),
            pre = self.plugin.prepare(&self.context.bus) => pre?,
        };
        let task = run(Arc::clone(&self.plugin), self.context.clone(), pre, self.live.take(), work);
        // In a separate task, a component that computes does not delay its caller's other work, and a panic in a host
        // function ends here.
        let mut task = AbortOnDrop(tokio::spawn(task));
        let ended = (&mut task.0).await;
        let answered = matches!(&ended, Ok(CallEnd::Answered(_, Ok(_))));
        self.context.bus.send(EventKind::PluginCall {
            plugin: self.plugin.info().id.clone(),
            version: self.plugin.info().version.to_string(),
            export: export.clone(),
            elapsed_ms: milliseconds(began.elapsed()),
            limit_ms: milliseconds(self.context.deadline),
            ok: answered,
        });
        let (fault, crash) = match ended {
            Ok(CallEnd::Answered(mut live, answer)) => {
                self.facts.merge(std::mem::take(&mut live.store.data_mut().facts));
                if E::ROLE.is_pure() && E::ROLE != Role::Render {
                    self.live = Some(live);
                }
                return match answer {
                    // The error follows from the cancelled host call, so it is not a failure of the component.
                    Err(_) if self.context.cancel.is_cancelled() => Err(self.cancelled(export)),
                    answer => answer.map_err(|error| self.answered(export, error)),
                };
            }
            Ok(CallEnd::Cancelled) => return Err(self.cancelled(export)),
            Ok(CallEnd::Failed(fault, crash)) => (fault, crash),
            Err(error) => (PluginFault::Host { reason: error.to_string() }, CrashReport::default()),
        };
        Err(PluginError::Misbehaved {
            plugin: self.plugin.info().id.clone(),
            version: self.plugin.info().version.to_string(),
            export,
            fault,
            crash: Box::new(crash),
        })
    }

    fn cancelled(&self, export: String) -> PluginError {
        PluginError::Cancelled { plugin: self.plugin.info().id.clone(), export }
    }

    /// The component's error, redacted and limited in size.
    fn answered(&self, export: String, error: wit::Error) -> PluginError {
        let clean = |text: String| {
            let mut text = self.context.environment.vault.redact(&text);
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
    work: impl for<'live> FnOnce(&'live mut Live<E>) -> BoxFuture<'live, CallResult<T>> + Send + 'static,
) -> CallEnd<E, T> {
    let (cancel, deadline) = (context.cancel.clone(), context.deadline);
    let ends = tokio::time::Instant::now() + deadline;
    let mut live = if let Some(live) = live {
        live
    } else {
        let mut store = new_store(&plugin, E::ROLE, context);
        let started = tokio::select! {
            biased;
            () = cancel.cancelled() => return CallEnd::Cancelled,
            started = tokio::time::timeout_at(ends, start::<E>(&pre, &mut store)) => started,
        };
        match started {
            Ok(Ok(export)) => Live { store, export },
            Ok(Err(error)) => {
                let fault = PluginFault::Start { reason: format!("{error:#}") };
                return failed(fault, &error, &store);
            }
            Err(_) => return late(deadline, &store),
        }
    };
    live.store.data_mut().begin_call();
    let answer = tokio::select! {
        biased;
        () = cancel.cancelled() => return CallEnd::Cancelled,
        answer = tokio::time::timeout_at(ends, work(&mut live)) => answer,
    };
    match answer {
        Ok(Ok(answer)) => CallEnd::Answered(live, answer),
        Ok(Err(error)) => {
            let reason = error.root_cause().to_string();
            let fault = if error.is::<Trap>() || error.is::<WasmBacktrace>() {
                PluginFault::Trap { reason }
            } else {
                PluginFault::Host { reason: format!("{error:#}") }
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
    // The first deadline must be one tick: the component does not yield before it.
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

fn failed<E, T>(
    fault: PluginFault,
    error: &wasmtime::Error,
    store: &Store<State>,
) -> CallEnd<E, T> {
    let fault = match store.data().limiter.refused() {
        Some((wanted, limit)) => PluginFault::Memory { wanted, limit },
        None => fault,
    };
    let backtrace = error
        .downcast_ref::<WasmBacktrace>()
        .map(|backtrace| backtrace.frames().iter().take(20).filter_map(frame).collect())
        .unwrap_or_default();
    CallEnd::Failed(fault, CrashReport { backtrace, log: store.data().last_lines() })
}

fn late<E, T>(limit: Duration, store: &Store<State>) -> CallEnd<E, T> {
    let log = store.data().last_lines();
    CallEnd::Failed(PluginFault::Deadline { limit }, CrashReport { backtrace: Vec::new(), log })
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

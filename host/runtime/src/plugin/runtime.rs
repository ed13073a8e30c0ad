//! Loads components: grants their requests, compiles and links them.
//!
//! A component is compiled once, at its first call, outside of the async threads.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fs_err as fs;
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

use super::call::CallContext;
use super::handle::{Apply, Build, Check, Render, Target, Verify};
use super::{PluginError, PluginFault, PluginInfo, Role, State, engine, limit, registry, wit};
use crate::capability::Capability;
use crate::grant::{Granter, Grants};
use todohost_model::event::{Bus, EventKind};

/// A compilation longer than this is shown as progress.
const SHOWN_AFTER: Duration = Duration::from_millis(300);

/// Options of the runtime.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// Cache of this host, with the compiled code.
    pub cache_dir: PathBuf,
    /// The user's configuration, with the consents.
    pub config_dir: PathBuf,
    /// Memory limit of one instance in bytes; at most and by default 1 GiB.
    pub memory: Option<usize>,
}

/// Runs components, with one engine for the process.
pub struct Runtime {
    engine: Engine,
    granter: Granter,
    memory: usize,
    loaded: Mutex<HashMap<String, Arc<Plugin>>>,
}

/// A component with its grants. It is compiled at its first call.
pub struct Plugin {
    info: PluginInfo,
    grants: Grants,
    engine: Engine,
    memory: usize,
    prepared: Arc<Mutex<Option<InstancePre<State>>>>,
}

impl Runtime {
    /// Starts the engine and reads the user's consents.
    ///
    /// # Errors
    /// If the engine cannot start, or the consents cannot be read.
    pub fn new(options: &RuntimeOptions) -> Result<Self, PluginError> {
        Ok(Self {
            granter: Granter::open(&options.config_dir)?,
            engine: engine::new(&options.cache_dir)?,
            memory: options.memory.unwrap_or(limit::MEMORY),
            loaded: Mutex::default(),
        })
    }

    /// Grants a component's requests. The same component is loaded once.
    ///
    /// # Errors
    /// If a grant is missing.
    pub fn load(&self, info: &PluginInfo) -> Result<Arc<Plugin>, PluginError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plugin) = loaded.get(&info.digest) {
            return Ok(Arc::clone(plugin));
        }
        let plugin = Arc::new(Plugin {
            info: info.clone(),
            grants: self.granter.grant(info)?,
            engine: self.engine.clone(),
            memory: self.memory,
            prepared: Arc::default(),
        });
        loaded.insert(info.digest.clone(), Arc::clone(&plugin));
        Ok(plugin)
    }
}

impl Plugin {
    /// The component's description.
    pub fn info(&self) -> &PluginInfo {
        &self.info
    }

    /// The component's grants.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Compiles the component now, e.g. while other steps run, so that its first call does not wait.
    ///
    /// # Errors
    /// If the file changed or is not a valid component.
    pub async fn warm(&self, bus: &Bus) -> Result<(), PluginError> {
        self.prepare(bus).await.map(drop)
    }

    /// A handle for the target's functions.
    ///
    /// # Errors
    /// If the component does not export the role.
    pub fn target(self: &Arc<Self>, context: CallContext) -> Result<Target, PluginError> {
        self.require(Role::Target).map(|plugin| Target::new(plugin, context))
    }

    /// A handle for the builder's functions.
    ///
    /// # Errors
    /// If the component does not export the role.
    pub fn build(self: &Arc<Self>, context: CallContext) -> Result<Build, PluginError> {
        self.require(Role::Build).map(|plugin| Build::new(plugin, context))
    }

    /// A handle for the renderer's functions.
    ///
    /// # Errors
    /// If the component does not export the role.
    pub fn render(self: &Arc<Self>, context: CallContext) -> Result<Render, PluginError> {
        self.require(Role::Render).map(|plugin| Render::new(plugin, context))
    }

    /// A handle for the apply planner's functions.
    ///
    /// # Errors
    /// If the component does not export the role.
    pub fn apply(self: &Arc<Self>, context: CallContext) -> Result<Apply, PluginError> {
        self.require(Role::Apply).map(|plugin| Apply::new(plugin, context))
    }

    /// A handle for the verifier's functions.
    ///
    /// # Errors
    /// If the component does not export the role.
    pub fn verify(self: &Arc<Self>, context: CallContext) -> Result<Verify, PluginError> {
        self.require(Role::Verify).map(|plugin| Verify::new(plugin, context))
    }

    /// A handle for the check's functions.
    ///
    /// # Errors
    /// If the component does not export the role.
    pub fn check(self: &Arc<Self>, context: CallContext) -> Result<Check, PluginError> {
        self.require(Role::Check).map(|plugin| Check::new(plugin, context))
    }

    /// Runs a command of the component under its grants, and returns the output to the host only. The component never
    /// gets e.g. a kubeconfig.
    ///
    /// # Errors
    /// If the command is not granted, cannot run or fails.
    pub async fn output_for_host(
        &self,
        context: &CallContext,
        command: wit::Command,
    ) -> Result<String, PluginError> {
        let mut state = State::new(self, Role::Target, context.clone(), self.memory);
        let output = tokio::select! {
            biased;
            () = context.cancel.cancelled() => Err(wit::Error::new(
                wit::ErrorKind::Cancelled,
                "todohost.cancelled",
                "stopped by the user",
            )),
            output = state.output_for_host(command) => output,
        };
        output.map_err(|error| PluginError::Answered {
            plugin: self.info.id.clone(),
            role: Role::Target,
            export: "target.connect".to_owned(),
            error: Box::new(error),
        })
    }

    fn require(self: &Arc<Self>, role: Role) -> Result<Arc<Self>, PluginError> {
        if self.info.roles.contains(&role) {
            return Ok(Arc::clone(self));
        }
        Err(PluginError::NoSuchRole {
            plugin: self.info.id.clone(),
            role,
            roles: self.info.roles.iter().copied().collect(),
        })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    pub(super) async fn prepare(&self, bus: &Bus) -> Result<InstancePre<State>, PluginError> {
        static LINES: AtomicU64 = AtomicU64::new(1 << 62);
        let (info, linked) = (self.info.clone(), self.grants.linked().clone());
        let (engine, prepared) = (self.engine.clone(), Arc::clone(&self.prepared));
        let mut compiling = tokio::task::spawn_blocking(move || {
            // Concurrent callers wait here and then get the compiled component.
            let mut prepared = prepared.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(ready) = &*prepared {
                return Ok(ready.clone());
            }
            let ready = compile(&engine, &info, linked.into_iter())?;
            *prepared = Some(ready.clone());
            Ok(ready)
        });
        let early = tokio::time::timeout(SHOWN_AFTER, &mut compiling).await;
        let done = if let Ok(done) = early {
            done
        } else {
            let id = LINES.fetch_add(1, Ordering::Relaxed);
            let message = format!(
                "compiling plugin {} {} (once per version)",
                self.info.id, self.info.version
            );
            let line = |closed| EventKind::StepProgress {
                id,
                message: message.clone(),
                done: u64::from(closed),
                total: None,
                closed,
            };
            bus.send(line(false));
            let done = compiling.await;
            bus.send(line(true));
            done
        };
        done.unwrap_or_else(|error| Err(self.start_failure(error.to_string())))
    }

    fn start_failure(&self, reason: String) -> PluginError {
        start_failure(&self.info, reason)
    }
}

fn start_failure(info: &PluginInfo, reason: String) -> PluginError {
    PluginError::Misbehaved {
        plugin: info.id.clone(),
        version: info.version.to_string(),
        export: "start".to_owned(),
        fault: PluginFault::Start { reason },
        crash: Box::default(),
    }
}

fn compile(
    engine: &Engine,
    info: &PluginInfo,
    capabilities: impl Iterator<Item = Capability>,
) -> Result<InstancePre<State>, PluginError> {
    let bytes = fs::read(&info.path).map_err(|source| PluginError::Unreadable { source })?;
    // Grants are keyed by digest, so the compiled bytes must have the granted digest.
    if registry::digest(&bytes) != info.digest {
        return Err(PluginError::Changed { path: info.path.clone() });
    }
    let component = Component::new(engine, &bytes).map_err(|error| PluginError::NotAComponent {
        path: info.path.clone(),
        reason: format!("{error:#}"),
    })?;
    let linker = link(engine, capabilities, info.wasi);
    linker
        .and_then(|linker| linker.instantiate_pre(&component))
        .map_err(|error| start_failure(info, format!("{error:#}")))
}

/// Links only the granted capabilities; the component cannot call any other.
fn link(
    engine: &Engine,
    capabilities: impl Iterator<Item = Capability>,
    wasi: bool,
) -> wasmtime::Result<Linker<State>> {
    use wit::imports;
    type Own = HasSelf<State>;
    let mut linker = Linker::new(engine);
    if wasi {
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    }
    imports::types::add_to_linker::<_, Own>(&mut linker, |state| state)?;
    for capability in capabilities {
        match capability {
            Capability::Env => imports::env::add_to_linker::<_, Own>(&mut linker, |state| state),
            Capability::Log => imports::log::add_to_linker::<_, Own>(&mut linker, |state| state),
            Capability::Workspace => {
                imports::workspace::add_to_linker::<_, Own>(&mut linker, |state| state)
            }
            Capability::Process => {
                imports::process::add_to_linker::<_, Own>(&mut linker, |state| state)
            }
            Capability::ClusterRead => {
                imports::cluster_read::add_to_linker::<_, Own>(&mut linker, |state| state)
            }
            Capability::ClusterWrite => {
                imports::cluster_write::add_to_linker::<_, Own>(&mut linker, |state| state)
            }
            Capability::HttpProbe => {
                imports::http_probe::add_to_linker::<_, Own>(&mut linker, |state| state)
            }
            Capability::Tcp => imports::tcp::add_to_linker::<_, Own>(&mut linker, |state| state),
        }?;
    }
    Ok(linker)
}

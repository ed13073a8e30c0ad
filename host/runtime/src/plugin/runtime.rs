//! Loading: from a file that was looked at to a component that can be instantiated.
//!
//! Compiling is lazy, off the async threads and shared by all who wait for the same component.

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
use super::{Fault, PluginError, PluginInfo, Role, State, engine, limit, registry, wit};
use crate::capability::Capability;
use crate::grant::{Granter, Grants};
use todohost_model::event::{Bus, EventKind};

/// Compiling for longer than this is shown.
const SHOWN_AFTER: Duration = Duration::from_millis(300);

/// How components are run.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// Cache of this host; compiled code is kept in it.
    pub cache_dir: PathBuf,
    /// The user's configuration; the consents are in it.
    pub config_dir: PathBuf,
    /// Bytes of memory that one instance may have; at most and by default 1 GiB.
    pub memory: Option<usize>,
}

/// Runs components: one engine for the process.
pub struct Runtime {
    engine: Engine,
    granter: Granter,
    memory: usize,
    loaded: Mutex<HashMap<String, Arc<Plugin>>>,
}

/// A component that may run. Compiled when it is first called.
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
    /// When the engine does not start or the consents are not readable.
    pub fn new(options: &RuntimeOptions) -> Result<Self, PluginError> {
        Ok(Self {
            granter: Granter::open(&options.config_dir)?,
            engine: engine::new(&options.cache_dir)?,
            memory: options.memory.unwrap_or(limit::MEMORY),
            loaded: Mutex::default(),
        })
    }

    /// Decides whether a component may run; the same component is loaded once.
    ///
    /// # Errors
    /// When a grant is missing.
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
    /// What is known of it.
    pub fn info(&self) -> &PluginInfo {
        &self.info
    }

    /// What it may do.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Compiles it now, e.g. while other steps run, so that the first call need not wait.
    ///
    /// # Errors
    /// When the file changed or is not a valid component.
    pub async fn warm(&self, bus: &Bus) -> Result<(), PluginError> {
        self.prepare(bus).await.map(drop)
    }

    /// Calls it as a target.
    ///
    /// # Errors
    /// When it does not export the role.
    pub fn target(self: &Arc<Self>, context: CallContext) -> Result<Target, PluginError> {
        self.require(Role::Target).map(|plugin| Target::new(plugin, context))
    }

    /// Calls it to build images.
    ///
    /// # Errors
    /// When it does not export the role.
    pub fn build(self: &Arc<Self>, context: CallContext) -> Result<Build, PluginError> {
        self.require(Role::Build).map(|plugin| Build::new(plugin, context))
    }

    /// Calls it to render manifests.
    ///
    /// # Errors
    /// When it does not export the role.
    pub fn render(self: &Arc<Self>, context: CallContext) -> Result<Render, PluginError> {
        self.require(Role::Render).map(|plugin| Render::new(plugin, context))
    }

    /// Calls it to plan waves.
    ///
    /// # Errors
    /// When it does not export the role.
    pub fn apply(self: &Arc<Self>, context: CallContext) -> Result<Apply, PluginError> {
        self.require(Role::Apply).map(|plugin| Apply::new(plugin, context))
    }

    /// Calls it to judge what runs.
    ///
    /// # Errors
    /// When it does not export the role.
    pub fn verify(self: &Arc<Self>, context: CallContext) -> Result<Verify, PluginError> {
        self.require(Role::Verify).map(|plugin| Verify::new(plugin, context))
    }

    /// Calls it as a check.
    ///
    /// # Errors
    /// When it does not export the role.
    pub fn check(self: &Arc<Self>, context: CallContext) -> Result<Check, PluginError> {
        self.require(Role::Check).map(|plugin| Check::new(plugin, context))
    }

    /// Runs a command that the component named, under its grants, for the host alone: a kubeconfig is never shown to it.
    ///
    /// # Errors
    /// When it is not granted, does not run or does not succeed.
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
            // Whoever comes second waits here, and finds it done.
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
        done.unwrap_or_else(|error| Err(self.misstart(error.to_string())))
    }

    fn misstart(&self, reason: String) -> PluginError {
        misstart(&self.info, reason)
    }
}

fn misstart(info: &PluginInfo, reason: String) -> PluginError {
    PluginError::Misbehaved {
        plugin: info.id.clone(),
        version: info.version.to_string(),
        export: "start".to_owned(),
        fault: Fault::Start { reason },
        last_words: Box::default(),
    }
}

fn compile(
    engine: &Engine,
    info: &PluginInfo,
    capabilities: impl Iterator<Item = Capability>,
) -> Result<InstancePre<State>, PluginError> {
    let bytes = fs::read(&info.path).map_err(|source| PluginError::Unreadable { source })?;
    // Grants go by digest: what runs must be what was granted.
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
        .map_err(|error| misstart(info, format!("{error:#}")))
}

/// Only what was granted exists at all.
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

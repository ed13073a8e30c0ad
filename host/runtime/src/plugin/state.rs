//! The data of a store, for the host functions that its component calls.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::call::{CallContext, CallFacts};
use super::limit::{self, Limiter};
use super::{Plugin, Role};
use crate::capability::log::Throttle;
use crate::grant::Scope;

/// Maximum number of open handles of a component.
const MAX_RESOURCES: usize = 256;
const MAX_STDERR: usize = 16 * 1024;
/// Log lines kept for a crash report.
const TAIL: usize = 20;

/// The host's data of one instance.
pub(crate) struct State {
    pub(crate) table: ResourceTable,
    pub(crate) context: CallContext,
    pub(crate) scope: Arc<Scope>,
    pub(crate) facts: CallFacts,
    pub(crate) plugin_id: String,
    pub(crate) throttle: Throttle,
    pub(crate) random: ChaCha20Rng,
    pub(crate) began: Instant,
    /// Reads of the monotonic clock so far. Each advances the clock of a pure role.
    pub(crate) moments: u64,
    pub(crate) role: Role,
    tail: VecDeque<String>,
    pub(super) limiter: Limiter,
    wasi: WasiCtx,
    stderr: MemoryOutputPipe,
}

impl State {
    pub(super) fn new(plugin: &Plugin, role: Role, context: CallContext, memory: usize) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let stderr = MemoryOutputPipe::new(MAX_STDERR);
        // Without files, variables, arguments and network. Only the start-up code of languages needs WASI.
        let wasi = WasiCtx::builder().stderr(stderr.clone()).build();
        Self {
            table,
            scope: Arc::new(Scope::new(plugin.grants(), &context.environment)),
            facts: CallFacts::default(),
            plugin_id: plugin.info().id.clone(),
            throttle: Throttle::new(),
            random: ChaCha20Rng::from_seed(context.seed.random),
            began: Instant::now(),
            moments: 0,
            role,
            tail: VecDeque::new(),
            limiter: Limiter::new(memory.min(limit::MEMORY)),
            wasi,
            stderr,
            context,
        }
    }

    /// Resets clock and randomness, so that a call in a reused instance equals one in a new instance.
    pub(super) fn begin_call(&mut self) {
        self.random = ChaCha20Rng::from_seed(self.context.seed.random);
        self.moments = 0;
    }

    pub(crate) fn keep_line(&mut self, line: String) {
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    /// The last lines of the component's log and standard error, redacted.
    pub(super) fn last_lines(&self) -> Vec<String> {
        let stderr = self.stderr.contents();
        let stderr = String::from_utf8_lossy(&stderr);
        let stderr = self.context.environment.vault.redact(&stderr);
        let mut lines: Vec<String> = self.tail.iter().cloned().collect();
        lines.extend(stderr.lines().map(crate::capability::log::printable));
        lines.split_off(lines.len().saturating_sub(TAIL))
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

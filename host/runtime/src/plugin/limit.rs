//! Limits of a component's instance. Keeps the size of a refused request for memory.
//!
//! A component that runs out of memory and one that panics end in the same trap; only the refused request
//! distinguishes them.

use wasmtime::ResourceLimiter;

/// Memory limit of one instance, in bytes. The largest core component needs a third of it.
pub(super) const MEMORY: usize = 1024 * 1024 * 1024;
const TABLE_ELEMENTS: usize = 1_000_000;

/// Bounds on one store.
pub(crate) struct Limiter {
    memory: usize,
    refused: Option<usize>,
}

impl Limiter {
    pub(super) fn new(memory: usize) -> Self {
        Self { memory, refused: None }
    }

    /// Bytes of the refused request, and the limit.
    pub(super) fn refused(&self) -> Option<(usize, usize)> {
        self.refused.map(|wanted| (wanted, self.memory))
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = desired <= self.memory;
        if !fits {
            self.refused = Some(desired);
        }
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        200
    }

    fn tables(&self) -> usize {
        200
    }

    fn memories(&self) -> usize {
        // The memory limit applies to each memory.
        4
    }
}

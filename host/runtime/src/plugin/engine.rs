//! The engine of the process, which compiles and interrupts components.

use std::path::Path;
use std::time::Duration;

use wasmtime::{Cache, CacheConfig, Config, Engine, WasmBacktraceDetails};

use super::PluginError;
use todohost_model::private_file;

/// Interval at which a running component yields to other tasks and to its deadline.
const TICK: Duration = Duration::from_millis(10);
const COMPILED: &str = "compiled";

/// Creates the engine. Without a usable cache, it logs a warning and compiles on each run.
pub(super) fn new(cache_dir: &Path) -> Result<Engine, PluginError> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
    match cache(cache_dir) {
        Ok(cache) => {
            config.cache(Some(cache));
        }
        Err(error) => {
            tracing::warn!(%error, "plugins are compiled on each run: the cache is not usable");
        }
    }
    let engine = Engine::new(&config)
        .map_err(|error| PluginError::Engine { reason: format!("{error:#}") })?;
    tick(&engine)?;
    Ok(engine)
}

/// Compiled code is native code, so it is read only from a directory that other users cannot write.
fn cache(cache_dir: &Path) -> wasmtime::Result<Cache> {
    let directory = cache_dir.join(COMPILED);
    private_file::directory(cache_dir)?;
    private_file::directory(&directory)?;
    let mut config = CacheConfig::new();
    config.with_directory(fs_err::canonicalize(directory)?);
    Cache::new(config)
}

/// Starts the thread that increments the epoch. It ends with the engine, which it does not keep alive.
fn tick(engine: &Engine) -> Result<(), PluginError> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("plugin-ticker".to_owned())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map(drop)
        .map_err(|error| PluginError::Engine { reason: error.to_string() })
}

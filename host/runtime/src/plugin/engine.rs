//! The one engine of the process: how components are compiled and interrupted.

use std::path::Path;
use std::time::Duration;

use wasmtime::{Cache, CacheConfig, Config, Engine, WasmBacktraceDetails};

use super::PluginError;
use todohost_model::private_file;

/// How often a running component gives way to others and to its deadline.
const TICK: Duration = Duration::from_millis(10);
const COMPILED: &str = "compiled";

/// Makes the engine; without a usable cache it works and says so.
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

/// Compiled code is native code: it is only read from a directory that nobody else may write.
fn cache(cache_dir: &Path) -> wasmtime::Result<Cache> {
    let directory = cache_dir.join(COMPILED);
    private_file::directory(cache_dir)?;
    private_file::directory(&directory)?;
    let mut config = CacheConfig::new();
    config.with_directory(fs_err::canonicalize(directory)?);
    Cache::new(config)
}

/// Ends with the engine, which it does not keep alive.
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

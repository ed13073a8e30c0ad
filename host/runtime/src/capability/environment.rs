//! Clock and randomness: decided by the call's seed, so that the same call gives the same answer.

use rand_chacha::rand_core::RngCore;
use wasmtime::Result;

use crate::plugin::State;
use crate::plugin::wit::imports::env;

/// Most random bytes for one call.
const MAX_RANDOM: u32 = 64 * 1024;
/// Time that passes for a pure role with each look at the clock.
const MOMENT: u64 = 1_000;

impl State {
    /// For a pure role time only passes as it looks; for others as it does.
    fn elapsed(&mut self) -> u64 {
        if self.role.is_pure() {
            self.moments += 1;
            return self.moments * MOMENT;
        }
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl env::Host for State {
    async fn now(&mut self) -> Result<u64> {
        self.facts.used_environment = true;
        let elapsed = if self.role.is_pure() { 0 } else { self.elapsed() };
        Ok(self.context.environment.now.saturating_add(elapsed))
    }

    async fn monotonic(&mut self) -> Result<u64> {
        Ok(self.elapsed())
    }

    async fn random(&mut self, len: u32) -> Result<Vec<u8>> {
        if len > MAX_RANDOM {
            return Err(wasmtime::format_err!(
                "{len} random bytes at once, {MAX_RANDOM} is the most"
            ));
        }
        self.facts.used_environment = true;
        let mut bytes = vec![0; len as usize];
        self.random.fill_bytes(&mut bytes);
        Ok(bytes)
    }
}

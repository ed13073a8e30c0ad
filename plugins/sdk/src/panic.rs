//! Reports a panic to the host as a log record, because the message of the trap after it is only "unreachable".

use crate::log;
use std::sync::Once;

static INSTALLED: Once = Once::new();

/// Installs the panic hook, once per instance. Every export calls it first.
pub(crate) fn report_panics() {
    INSTALLED.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let message = info.payload_as_str().unwrap_or("panic with a payload that is not text");
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            log::write(log::Level::Error, message, &[("panic.location", &place)]);
        }));
    });
}

//! A panic reaches the host as a log record: a trap alone says only "unreachable".

use crate::log;
use std::sync::Once;

static INSTALLED: Once = Once::new();

/// Called at the beginning of every export; installs the hook once per instance.
pub(crate) fn report_panics() {
    INSTALLED.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let message = info.payload_as_str().unwrap_or("panic with a payload that is no text");
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            log::write(log::Level::Error, message, &[("panic.location", &place)]);
        }));
    });
}

//! Log lines and progress lines of a component, limited in size and in rate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wasmtime::Result;
use wasmtime::component::Resource;

use crate::plugin::State;
use crate::plugin::wit::Label;
use crate::plugin::wit::imports::log::{self, Level};
use todohost_model::event::{self, Bus, EventKind};

const MAX_LINE: usize = 4000;
const MAX_FIELDS: usize = 30;
/// Lines of a burst; `RATE` is lines per second after it.
const BURST: f64 = 500.0;
const RATE: f64 = 100.0;
/// Minimum time between two redraws of a progress line.
const REDRAW: Duration = Duration::from_millis(50);

/// Limits the rate of log lines.
pub(crate) struct Throttle {
    left: f64,
    at: Instant,
    dropped: u64,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self { left: BURST, at: Instant::now(), dropped: 0 }
    }

    /// Number of lines dropped before this one, or `None` if this line is dropped too.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.left = (self.left + passed * RATE).min(BURST);
        if self.left < 1.0 {
            self.dropped += 1;
            return None;
        }
        self.left -= 1.0;
        Some(std::mem::take(&mut self.dropped))
    }
}

/// A progress line. Dropping it ends the line, also after a crash of its component.
pub struct ProgressLine {
    bus: Bus,
    id: u64,
    message: String,
    done: u64,
    total: Option<u64>,
    drawn: Option<Instant>,
}

impl ProgressLine {
    fn draw(&mut self, always: bool) {
        let now = Instant::now();
        if !always && self.drawn.is_some_and(|drawn| now.duration_since(drawn) < REDRAW) {
            return;
        }
        self.drawn = Some(now);
        self.send(false);
    }

    fn send(&self, closed: bool) {
        self.bus.send(EventKind::StepProgress {
            id: self.id,
            message: self.message.clone(),
            done: self.done,
            total: self.total,
            closed,
        });
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.send(true);
    }
}

/// Escapes the characters of a text that could control a terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => clean.push(' '),
            // Control characters, and the marks that reverse the direction of text.
            _ if character.is_control()
                || ('\u{202a}'..='\u{202e}').contains(&character)
                || ('\u{2066}'..='\u{2069}').contains(&character) =>
            {
                clean.extend(character.escape_default());
            }
            _ => clean.push(character),
        }
    }
    clean
}

fn bounded(mut text: String) -> String {
    if text.len() > MAX_LINE {
        let end = (0..=MAX_LINE).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

impl log::Host for State {
    async fn write(&mut self, level: Level, message: String, fields: Vec<Label>) -> Result<()> {
        let Some(dropped) = self.throttle.admit(Instant::now()) else { return Ok(()) };
        if dropped > 0 {
            self.context.bus.send(EventKind::PluginLog {
                plugin: self.plugin_id.clone(),
                level: event::Level::Warn,
                message: format!("dropped {dropped} lines: the plugin logs too fast"),
            });
        }
        let mut line = bounded(message);
        for Label { key, value } in fields.into_iter().take(MAX_FIELDS) {
            for piece in [" ", &bounded(key), "=", &bounded(value)] {
                line.push_str(piece);
            }
        }
        let line = self.context.environment.vault.redact(&line);
        let level = match level {
            Level::Trace => event::Level::Trace,
            Level::Debug => event::Level::Debug,
            Level::Info => event::Level::Info,
            Level::Warn => event::Level::Warn,
            Level::Error => event::Level::Error,
        };
        for part in line.lines() {
            let part = printable(part);
            self.keep_line(part.clone());
            self.context.bus.send(EventKind::PluginLog {
                plugin: self.plugin_id.clone(),
                level,
                message: part,
            });
        }
        Ok(())
    }
}

impl log::HostProgress for State {
    async fn new(&mut self, title: String, total: Option<u64>) -> Result<Resource<ProgressLine>> {
        static LINES: AtomicU64 = AtomicU64::new(1);
        let mut line = ProgressLine {
            bus: self.context.bus.clone(),
            id: LINES.fetch_add(1, Ordering::Relaxed),
            message: self.shown(&title),
            done: 0,
            total,
            drawn: None,
        };
        line.draw(true);
        Ok(self.table.push(line)?)
    }

    async fn advance(&mut self, line: Resource<ProgressLine>, by: u64) -> Result<()> {
        let line = self.table.get_mut(&line)?;
        line.done = line.done.saturating_add(by);
        let whole = line.total.is_some_and(|total| line.done >= total);
        line.draw(whole);
        Ok(())
    }

    async fn message(&mut self, line: Resource<ProgressLine>, text: String) -> Result<()> {
        let text = self.shown(&text);
        let line = self.table.get_mut(&line)?;
        line.message = text;
        line.draw(false);
        Ok(())
    }

    async fn is_cancelled(&mut self, line: Resource<ProgressLine>) -> Result<bool> {
        self.table.get(&line)?;
        Ok(self.context.cancel.is_cancelled())
    }

    async fn drop(&mut self, line: Resource<ProgressLine>) -> Result<()> {
        self.table.delete(line)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_control_characters_are_escaped() {
        assert_eq!(printable("a\u{1b}[2Jb\rc\u{202e}d"), "a\\u{1b}[2Jb\\rc\\u{202e}d");
        assert_eq!(printable("größer, 日本"), "größer, 日本");
    }

    #[test]
    fn lines_beyond_the_rate_are_counted() {
        let mut throttle = Throttle::new();
        let now = throttle.at;
        let admitted = (0..600).filter(|_| throttle.admit(now).is_some()).count();
        assert_eq!(admitted, 500);
        assert_eq!(throttle.admit(now + Duration::from_secs(1)), Some(100));
    }
}

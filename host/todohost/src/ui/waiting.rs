//! The table of waiting objects, as lines that fit a terminal.
//!
//! Owns its columns, and drops columns on a narrow terminal. `human` draws it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use console::{measure_text_width, style, truncate_str};

use todohost_model::event::{Readiness, Replicas, Usage};
use todohost_model::object::ObjectRef;
use todohost_model::text::clean;

/// Columns of the name of an object, at most.
const NAME_WIDTH: usize = 40;
/// Narrowest column for the reason; a narrower terminal has no table.
const REASON_WIDTH: usize = 16;
const INDENT: &str = "    ";
const GAP: &str = "  ";

/// The objects that are not ready yet.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    rows: BTreeMap<ObjectRef, Row>,
    /// Objects that became ready.
    ready: usize,
}

#[derive(Debug)]
struct Row {
    state: Readiness,
    message: String,
    replicas: Option<Replicas>,
    /// Its usage against its limits, once known.
    uses: String,
    since: Instant,
}

impl Waiting {
    /// Updates an object from an event; `since` is the time of its current state.
    pub(super) fn note(
        &mut self,
        object: &ObjectRef,
        state: Readiness,
        message: &str,
        replicas: Option<Replicas>,
        since: Instant,
    ) {
        if state == Readiness::Ready {
            self.ready += usize::from(self.rows.remove(object).is_some());
        } else {
            let message = clean(message).into_owned();
            let uses = self.rows.remove(object).map(|row| row.uses).unwrap_or_default();
            self.rows.insert(object.clone(), Row { state, message, replicas, uses, since });
        }
    }

    /// Updates the usage of an object.
    pub(super) fn note_uses(&mut self, usage: &Usage) {
        if let Some(row) = self.rows.get_mut(&usage.object) {
            row.uses = clean(&uses(usage)).into_owned();
        }
    }

    /// `3 objects are not ready, 2 became ready`; empty without waiting objects.
    pub(super) fn summary(&self) -> String {
        let waiting = match self.rows.len() {
            0 => return String::new(),
            1 => "1 object is not ready".to_owned(),
            count => format!("{count} objects are not ready"),
        };
        if self.ready == 0 { waiting } else { format!("{waiting}, {} became ready", self.ready) }
    }

    /// A heading and a line for each object, those in trouble first, in so many columns and at most so many lines.
    pub(super) fn lines(&self, width: usize, most: usize, now: Instant) -> Vec<String> {
        if self.rows.is_empty() || most < 2 {
            return Vec::new();
        }
        let mut rows: Vec<(&ObjectRef, &Row)> = self.rows.iter().collect();
        rows.sort_by_key(|(object, row)| (std::cmp::Reverse(row.state), *object));
        let names: Vec<String> =
            rows.iter().map(|(object, _)| clean(&object.to_string()).into_owned()).collect();
        let counts: Vec<String> = rows.iter().map(|(_, row)| count(row.replicas)).collect();
        let sinces: Vec<String> = rows.iter().map(|(_, row)| ago(now, row.since)).collect();
        let widest = |texts: &[String], heading: &str| {
            let widths = texts.iter().map(|text| measure_text_width(text));
            widths.chain([heading.len()]).max().unwrap_or(0)
        };
        let name_width = widest(&names, HEADINGS[0]).min(NAME_WIDTH).min(width / 3);
        let count_width = widest(&counts, HEADINGS[1]);
        let since_width = widest(&sinces, HEADINGS[4]);
        let taken = INDENT.len() + name_width + count_width + since_width + 3 * GAP.len();
        let uses: Vec<String> = rows.iter().map(|(_, row)| row.uses.clone()).collect();
        let uses_width = widest(&uses, HEADINGS[2]);
        // On a narrow terminal the reason wins.
        let has_uses = uses.iter().any(|uses| !uses.is_empty())
            && taken + uses_width + GAP.len() + 2 * REASON_WIDTH <= width;
        let taken = if has_uses { taken + uses_width + GAP.len() } else { taken };
        let reason_width = width.saturating_sub(taken);
        if reason_width < REASON_WIDTH {
            // No room for columns: names and reasons, cut.
            let line = |(name, (_, row)): (&String, &(&ObjectRef, &Row))| {
                truncate_str(&format!("{INDENT}{name}: {}", row.message), width, "…").into_owned()
            };
            return names.iter().zip(&rows).take(most).map(line).collect();
        }
        let columns = |name: &str, count: &str, uses: &str, reason: &str, since: &str| {
            let uses =
                if has_uses { format!("{}{GAP}", fit(uses, uses_width)) } else { String::new() };
            format!(
                "{INDENT}{}{GAP}{}{GAP}{uses}{}{GAP}{since:>since_width$}",
                fit(name, name_width),
                fit(count, count_width),
                fit(reason, reason_width)
            )
        };
        let [name, count, uses, reason, since] = HEADINGS;
        let mut lines = vec![style(columns(name, count, uses, reason, since)).dim().to_string()];
        let room = if rows.len() < most { rows.len() } else { most - 2 };
        let shown = rows.iter().zip(names.iter().zip(counts.iter().zip(&sinces)));
        for ((_, row), (name, (count, since))) in shown.take(room) {
            let line = columns(name, count, &row.uses, &row.message, since);
            lines.push(match row.state {
                Readiness::Failed => style(line).red().to_string(),
                Readiness::Failing => style(line).yellow().to_string(),
                Readiness::Waiting | Readiness::Ready => line,
            });
        }
        if room < rows.len() {
            lines.push(format!("{INDENT}and {} more", rows.len() - room));
        }
        lines
    }
}

const HEADINGS: [&str; 5] = ["OBJECT", "READY", "USES", "WAITS FOR", "SINCE"];

/// `212Mi of 256Mi, 40m of 500m CPU`.
pub(super) fn uses(usage: &Usage) -> String {
    let of = |used: String, limit: &Option<String>| match limit {
        Some(limit) => format!("{used} of {limit}"),
        None => used,
    };
    let memory = of(format!("{}Mi", usage.memory_bytes >> 20), &usage.memory_limit);
    format!("{memory}, {} CPU", of(format!("{}m", usage.cpu_millis), &usage.cpu_limit))
}

/// `1/3`, and the number of updated replicas if not all are updated.
pub(super) fn count(replicas: Option<Replicas>) -> String {
    match replicas {
        None => String::new(),
        Some(Replicas { ready, updated, desired }) if updated < desired => {
            format!("{ready}/{desired}, {updated} new")
        }
        Some(Replicas { ready, desired, .. }) => format!("{ready}/{desired}"),
    }
}

fn ago(now: Instant, since: Instant) -> String {
    let seconds = now.saturating_duration_since(since).max(Duration::ZERO).as_secs();
    if seconds < 60 {
        format!("{seconds}s")
    } else {
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    }
}

/// The text in exactly so many columns.
fn fit(text: &str, width: usize) -> String {
    let cut = truncate_str(text, width, "…");
    let padding = width.saturating_sub(measure_text_width(&cut));
    format!("{cut}{}", " ".repeat(padding))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(kind: &str, name: &str) -> ObjectRef {
        ObjectRef {
            api_version: "v1".into(),
            kind: kind.into(),
            namespace: Some("shop".into()),
            name: name.into(),
        }
    }

    fn table() -> (Waiting, Instant) {
        let began = Instant::now();
        let mut waiting = Waiting::default();
        let replicas = Some(Replicas { ready: 1, updated: 2, desired: 3 });
        waiting.note(
            &named("Deployment", "shop-web"),
            Readiness::Waiting,
            "1 of 3 replicas available",
            replicas,
            began,
        );
        waiting.note(
            &named("Job", "migrate"),
            Readiness::Failing,
            "no node takes it",
            None,
            began + Duration::from_secs(3),
        );
        (waiting, began + Duration::from_secs(75))
    }

    fn plain(lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| console::strip_ansi_codes(line).trim_end().to_owned()).collect()
    }

    #[test]
    fn every_object_has_its_line_and_trouble_comes_first() {
        let (waiting, now) = table();
        assert_eq!(
            plain(&waiting.lines(80, 10, now)),
            [
                "    OBJECT               READY       WAITS FOR                             SINCE",
                "    Job/migrate                      no node takes it                      1m12s",
                "    Deployment/shop-web  1/3, 2 new  1 of 3 replicas available             1m15s",
            ]
        );
        assert_eq!(waiting.summary(), "2 objects are not ready");
    }

    #[test]
    fn usage_is_shown_if_the_terminal_is_wide_enough() {
        let (mut waiting, now) = table();
        let object = named("Deployment", "shop-web");
        let usage = Usage {
            object: object.clone(),
            container: "web".into(),
            memory_bytes: 212 << 20,
            memory_limit: Some("256Mi".into()),
            cpu_millis: 40,
            cpu_limit: None,
        };
        waiting.note_uses(&usage);
        waiting.note(&object, Readiness::Waiting, "1 of 3 replicas available", None, now);
        let lines = plain(&waiting.lines(110, 10, now));
        assert!(lines[0].contains("USES"), "{lines:?}");
        assert!(lines[2].contains("212Mi of 256Mi, 40m CPU"), "{lines:?}");
        assert!(lines.iter().all(|line| measure_text_width(line) <= 110), "{lines:?}");
        assert!(!plain(&waiting.lines(80, 10, now))[0].contains("USES"));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let (mut waiting, now) = table();
        let long = "x".repeat(300);
        waiting.note(&named("Pod", &long), Readiness::Waiting, &long, None, now);
        waiting.note(
            &named("Pod", "日本語の名前"),
            Readiness::Waiting,
            &"語".repeat(99),
            None,
            now,
        );
        for width in [20, 40, 79, 80, 200] {
            for line in waiting.lines(width, 10, now) {
                let wide = measure_text_width(&line);
                assert!(wide <= width, "{wide} of {width}: {line}");
            }
        }
    }

    #[test]
    fn hidden_objects_are_counted() {
        let (mut waiting, now) = table();
        for number in 0..20 {
            let name = format!("p{number:02}");
            waiting.note(&named("Pod", &name), Readiness::Waiting, "soon", None, now);
        }
        let lines = plain(&waiting.lines(80, 6, now));
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[5], "    and 18 more");
    }

    #[test]
    fn hostile_text_is_escaped() {
        let (mut waiting, now) = table();
        let evil = "x\u{1b}[2J\u{9b}1m\ny";
        waiting.note(&named("Pod", evil), Readiness::Failed, evil, None, now);
        for line in plain(&waiting.lines(120, 9, now)) {
            assert!(!line.contains(['\u{1b}', '\u{9b}', '\n']), "{line:?}");
        }
    }

    #[test]
    fn ready_objects_leave_the_table() {
        let (mut waiting, now) = table();
        waiting.note(&named("Job", "migrate"), Readiness::Ready, "", None, now);
        assert_eq!(waiting.lines(80, 9, now).len(), 2);
        assert_eq!(waiting.summary(), "1 object is not ready, 1 became ready");
        waiting.note(&named("Deployment", "shop-web"), Readiness::Ready, "", None, now);
        assert!(waiting.lines(80, 9, now).is_empty());
        assert_eq!(waiting.summary(), "");
    }
}

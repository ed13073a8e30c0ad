//! Makes text from other programs safe to show.

use std::borrow::Cow;

/// Maximum length of a shown text, in bytes.
const LONGEST: usize = 4096;

/// Removes terminal sequences, escapes control characters, joins lines, and cuts a text that is too long.
pub fn clean(text: &str) -> Cow<'_, str> {
    let harmless = |character: char| {
        !character.is_control()
            // Characters that reverse the direction of text.
            && !matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.len() <= LONGEST && text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let stripped = console::strip_ansi_codes(text);
    let mut safe = String::with_capacity(stripped.len().min(LONGEST));
    for character in stripped.trim_end().chars() {
        if safe.len() >= LONGEST {
            safe.push('…');
            break;
        }
        match character {
            '\n' | '\t' => safe.push(' '),
            '\r' => {}
            other if harmless(other) => safe.push(other),
            other => safe.extend(other.escape_unicode()),
        }
    }
    Cow::Owned(safe)
}

/// Formats milliseconds: `0.4s`, `1m 05s`.
pub fn duration(milliseconds: u64) -> String {
    let tenths = (milliseconds + 50) / 100;
    if tenths < 600 {
        format!("{}.{}s", tenths / 10, tenths % 10)
    } else {
        let seconds = milliseconds / 1000;
        format!("{}m {:02}s", seconds / 60, seconds % 60)
    }
}

/// Formats bytes: `812 B`, `14 kB`, `3 MB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_sequences_are_removed() {
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m"), "red");
        assert_eq!(clean("a\rb\u{7}\u{202e}"), "ab\\u{7}\\u{202e}");
        assert_eq!(clean("two\nlines\n"), "two lines");
        assert!(!clean("\u{1b}]0;title\u{7}x\u{9b}2J").contains(['\u{1b}', '\u{9b}']));
    }

    #[test]
    fn long_text_is_cut() {
        assert!(clean(&"x".repeat(100_000)).len() < 5000);
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!([size(999), size(14_500), size(3_999_999)], ["999 B", "14 kB", "3 MB"]);
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(duration(0), "0.0s");
        assert_eq!(duration(1449), "1.4s");
        assert_eq!(duration(65_000), "1m 05s");
    }
}

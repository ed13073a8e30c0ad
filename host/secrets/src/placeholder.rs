//! Placeholders: they replace a secret value in places that must not hold it.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{Salt, SecretValue};

/// Which of the two renders a placeholder is for. Both forms have the same length and differ at every
/// position, so that any piece of one that a chart cuts out differs between the renders, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonce {
    /// The form that manifests and digests keep: letters only, stable for a salt, a path and a value.
    First,
    /// The form for the comparison only. It has characters that URLs escape and that case functions change.
    Second,
}

/// Length of every placeholder and token.
pub(super) const LENGTH: usize = 40;

/// Letters that are not hexadecimal digits, neither as they stand nor rotated by 13: no piece of a
/// placeholder looks like a hash, a number, a date or a word with a meaning in YAML.
const LETTERS: &[u8; 14] = b"ghijklmtuvwxyz";

/// Characters that survive every quoting of YAML, JSON and Go templates, yet not escaping as part of a
/// URL, splitting, nor a change of case.
const RESERVED: [(usize, char); 4] = [(9, '/'), (18, 'Q'), (24, '+'), (31, '@')];

type Mac256 = Hmac<Sha256>;

/// Letters from a keyed hash of `parts`.
pub(super) fn letters(salt: &Salt, parts: &[&[u8]]) -> String {
    let mut text = String::with_capacity(LENGTH);
    let mut block = 0_u8;
    while text.len() < LENGTH {
        // HMAC takes keys of any length: this cannot fail.
        let Ok(mut mac) = Mac256::new_from_slice(salt.as_bytes()) else { break };
        mac.update(&[block]);
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        for byte in mac.finalize().into_bytes() {
            // Bytes above the last multiple of 14 are left out, so that no letter is likelier than another.
            if byte < 252 && text.len() < LENGTH {
                text.push(char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
            }
        }
        block = block.wrapping_add(1);
    }
    text
}

/// Both forms; empty for an empty value, so that `default` and `if` in charts decide as they would on it.
pub(super) fn pair(salt: &Salt, path: &str, value: &SecretValue) -> (String, String) {
    if value.is_empty() {
        return (String::new(), String::new());
    }
    let first = letters(salt, &[b"placeholder", path.as_bytes(), value.expose().as_bytes()]);
    let second = first
        .chars()
        .enumerate()
        .map(|(position, letter)| {
            RESERVED
                .iter()
                .find(|(reserved, _)| *reserved == position)
                .map_or_else(|| rotate(letter), |(_, character)| *character)
        })
        .collect();
    (first, second)
}

/// All pieces of `text` that have the length and the letters of a token.
pub(super) fn candidates(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii() || !LETTERS.contains(&(character as u8)))
        .filter(|run| run.len() >= LENGTH)
        .flat_map(|run| (0..=run.len() - LENGTH).filter_map(|from| run.get(from..from + LENGTH)))
}

fn rotate(letter: char) -> char {
    match letter {
        'a'..='m' => char::from(letter as u8 + 13),
        'n'..='z' => char::from(letter as u8 - 13),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn salt(byte: u8) -> Salt {
        Salt::from_bytes([byte; 32])
    }

    fn value(text: &str) -> SecretValue {
        SecretValue::new(text.to_owned())
    }

    #[test]
    fn forms_have_one_length_and_differ_everywhere() {
        for number in 0..500 {
            let (first, second) = pair(&salt(7), "secrets.a", &value(&number.to_string()));
            assert_eq!((first.len(), second.len()), (LENGTH, LENGTH));
            assert!(first.chars().zip(second.chars()).all(|(one, other)| one != other), "{first}");
            assert!(first.bytes().all(|byte| LETTERS.contains(&byte)), "{first}");
            let hexadecimal = |text: &str| text.chars().any(|letter| letter.is_ascii_hexdigit());
            assert!(!hexadecimal(&first) && !hexadecimal(&second), "{first} {second}");
        }
    }

    #[test]
    fn depends_on_salt_path_and_value_alone() {
        let one = pair(&salt(1), "secrets.a", &value("x"));
        assert_eq!(one, pair(&salt(1), "secrets.a", &value("x")));
        assert_ne!(one, pair(&salt(2), "secrets.a", &value("x")));
        assert_ne!(one, pair(&salt(1), "secrets.b", &value("x")));
        assert_ne!(one, pair(&salt(1), "secrets.a", &value("y")));
    }

    #[test]
    fn empty_stays_empty() {
        assert_eq!(pair(&salt(1), "secrets.a", &value("")), (String::new(), String::new()));
    }
}

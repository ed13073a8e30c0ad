//! Paths of values: `backend.image.tag`, `hosts[0].name`, `annotations.example\.org/x`.

use std::fmt;

use serde_json::Value;

const DEEPEST: usize = 64;
const LARGEST_INDEX: usize = 65_536;

/// A segment of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A key of a map.
    Key(String),
    /// An index of a list.
    Index(usize),
}

/// The path of a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValuePath(Vec<Segment>);

impl ValuePath {
    /// Parses a path; `None` if a key is empty, a bracket is not closed, or the path is too deep.
    pub fn parse(text: &str) -> Option<Self> {
        let mut segments = Vec::new();
        let mut key = String::new();
        let mut after_index = false;
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' => key.push(characters.next()?),
                '.' if after_index && key.is_empty() => after_index = false,
                '.' => segments.push(Segment::Key(non_empty(&mut key)?)),
                '[' => {
                    if !after_index {
                        segments.push(Segment::Key(non_empty(&mut key)?));
                    }
                    let digits: String = characters.by_ref().take_while(|c| *c != ']').collect();
                    let index: usize = digits.parse().ok()?;
                    (index <= LARGEST_INDEX).then_some(())?;
                    segments.push(Segment::Index(index));
                    after_index = true;
                }
                _ if after_index => return None,
                other => key.push(other),
            }
        }
        if !after_index {
            segments.push(Segment::Key(non_empty(&mut key)?));
        }
        let ends_with_open_bracket = text.contains('[') && !text.contains(']');
        (segments.len() <= DEEPEST && !ends_with_open_bracket).then_some(Self(segments))
    }

    /// The segments, outermost first.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether the path has keys only, no indices.
    pub fn is_plain(&self) -> bool {
        self.0.iter().all(|segment| matches!(segment, Segment::Key(_)))
    }

    /// Whether one path equals or contains the other, so that setting either changes both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(mine, theirs)| mine == theirs)
    }

    /// The value at this path.
    pub fn get<'a>(&self, values: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(values, |value, segment| match segment {
            Segment::Key(key) => value.get(key),
            Segment::Index(index) => value.get(index),
        })
    }
}

fn non_empty(key: &mut String) -> Option<String> {
    let key = std::mem::take(key);
    (!key.is_empty()).then_some(key)
}

impl fmt::Display for ValuePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(formatter, "[{index}]")?,
                Segment::Key(key) => {
                    if place > 0 {
                        formatter.write_str(".")?;
                    }
                    for character in key.chars() {
                        if "\\.[],={}".contains(character) {
                            formatter.write_str("\\")?;
                        }
                        write!(formatter, "{character}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

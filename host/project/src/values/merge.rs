//! Merging of values.

use serde_json::{Map, Value};

use todohost_model::value_path::{Segment, ValuePath};

/// Merges `over` into `base`: maps are merged, other values are replaced, null removes a key.
pub fn coalesce(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                match (base.get_mut(key), value) {
                    (_, Value::Null) => {
                        base.shift_remove(key);
                    }
                    (Some(present), value) => coalesce(present, value),
                    (None, value) => {
                        base.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// Sets the value at `path`, creating the maps and lists above it.
pub fn set_at(values: &mut Value, path: &ValuePath, value: Value) {
    let mut place = values;
    for segment in path.segments() {
        place = match segment {
            Segment::Key(key) => {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                &mut place[key.as_str()]
            }
            Segment::Index(index) => {
                if !place.is_array() {
                    *place = Value::Array(Vec::new());
                }
                if let Value::Array(items) = place
                    && items.len() <= *index
                {
                    items.resize(index + 1, Value::Null);
                }
                &mut place[*index]
            }
        };
    }
    *place = value;
}

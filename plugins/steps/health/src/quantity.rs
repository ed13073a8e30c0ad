//! Parses the resource quantities of pods and formats them for messages.

use serde_json::Value;

const BILLIONTHS: i128 = 1_000_000_000;

/// Parses a memory quantity, e.g. `256Mi`, into bytes.
pub fn bytes(stated: &Value) -> Option<u64> {
    whole(stated, BILLIONTHS)
}

/// Parses a CPU quantity, e.g. `250m` or `0.5`, into thousandths of a core.
pub fn millicores(stated: &Value) -> Option<u64> {
    whole(stated, BILLIONTHS / 1000)
}

/// Formats bytes in the largest of Ki, Mi and Gi that fits; Gi only without a remainder.
pub fn memory(bytes: u64) -> String {
    const MEBI: u64 = 1 << 20;
    const GIBI: u64 = 1 << 30;
    match bytes {
        _ if bytes >= GIBI && bytes.is_multiple_of(GIBI) => format!("{}Gi", bytes / GIBI),
        _ if bytes >= MEBI => format!("{}Mi", bytes / MEBI),
        _ => format!("{}Ki", bytes / 1024),
    }
}

fn whole(stated: &Value, unit: i128) -> Option<u64> {
    u64::try_from(todohost_quantity::parse(stated)? / unit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quantities_are_parsed_into_bytes_and_millicores() {
        assert_eq!(bytes(&json!("1.5Gi")), Some(1_610_612_736));
        assert_eq!(bytes(&json!(4096)), Some(4096));
        assert_eq!((bytes(&json!("many")), bytes(&json!("-1"))), (None, None));
        assert_eq!((millicores(&json!("250m")), millicores(&json!(0.5))), (Some(250), Some(500)));
    }

    #[test]
    fn memory_is_formatted_in_the_largest_unit() {
        assert_eq!(memory(268_435_456), "256Mi");
        assert_eq!(memory(2_147_483_648), "2Gi");
        assert_eq!(memory(4096), "4Ki");
    }
}

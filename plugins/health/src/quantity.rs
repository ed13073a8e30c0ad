//! Quantities as pods state them, and figures as people read them.

/// Bytes of a memory quantity, e.g. `256Mi`.
pub fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" => 1.0,
        "m" => 0.001,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    whole(number.parse::<f64>().ok()? * factor)
}

/// Thousandths of a core of a CPU quantity, e.g. `250m` or `0.5`.
pub fn millicores(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" => 1000.0,
        "m" => 1.0,
        "u" => 0.001,
        "n" => 0.000_001,
        _ => return None,
    };
    whole(number.parse::<f64>().ok()? * factor)
}

/// Bytes as a quantity of three digits or fewer before its unit.
pub fn memory(bytes: u64) -> String {
    const MEBI: u64 = 1 << 20;
    const GIBI: u64 = 1 << 30;
    match bytes {
        _ if bytes >= GIBI && bytes.is_multiple_of(GIBI) => format!("{}Gi", bytes / GIBI),
        _ if bytes >= MEBI => format!("{}Mi", bytes / MEBI),
        _ => format!("{}Ki", bytes / 1024),
    }
}

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    text.split_at(end.unwrap_or(text.len()))
}

fn whole(number: f64) -> Option<u64> {
    let fits = (0.0..9e18).contains(&number);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was looked at"
    )]
    fits.then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        assert_eq!(bytes("256Mi"), Some(268_435_456));
        assert_eq!(bytes("1.5Gi"), Some(1_610_612_736));
        assert_eq!(bytes("100M"), Some(100_000_000));
        assert_eq!(bytes("many"), None);
        assert_eq!((millicores("250m"), millicores("0.5")), (Some(250), Some(500)));
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(memory(268_435_456), "256Mi");
        assert_eq!(memory(2_147_483_648), "2Gi");
        assert_eq!(memory(4096), "4Ki");
    }
}

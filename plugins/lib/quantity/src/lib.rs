//! Parses Kubernetes quantities: `1000m` is `1`, `1Gi` is `1024Mi`.

use serde_json::Value;

/// Parses a quantity into billionths, the precision of the API server. `None` if it is malformed or too large.
pub fn parse(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => parse_text(text),
        Value::Number(number) => parse_text(&number.to_string()),
        _ => None,
    }
}

fn parse_text(text: &str) -> Option<i128> {
    let end = text
        .char_indices()
        .find(|(index, character)| {
            !(character.is_ascii_digit()
                || *character == '.'
                || (*index == 0 && matches!(character, '+' | '-')))
        })
        .map_or(text.len(), |(index, _)| index);
    let (number, suffix) = text.split_at(end);
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || digits.len() > 30 {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let decimals = i32::try_from(fraction.len()).ok()?;
    let (binary, exponent) = scale(suffix)?;
    let scaled = mantissa.checked_mul(1_i128.checked_shl(binary)?)?;
    shift(scaled, exponent.checked_add(9)?.checked_sub(decimals)?)
        .map(|billionths| sign * billionths)
}

/// Exponents of two and of ten for a suffix.
fn scale(suffix: &str) -> Option<(u32, i32)> {
    Some(match suffix {
        "" => (0, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        _ => (0, suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
    })
}

/// Multiplies by a power of ten. Fractions of a billionth are rounded up.
fn shift(value: i128, exponent: i32) -> Option<i128> {
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    if exponent >= 0 {
        return value.checked_mul(power);
    }
    Some(value / power + i128::from(value % power != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn notations_of_the_same_amount_are_equal() {
        for (one, two) in [
            (json!("1000m"), json!(1)),
            (json!(0.5), json!("500m")),
            (json!("1Gi"), json!("1024Mi")),
            (json!("1.5Gi"), json!("1536Mi")),
            (json!("128974848"), json!("123Mi")),
            (json!("1e3"), json!("1k")),
            (json!("+1"), json!("1.0")),
            (json!("-2"), json!("-2000m")),
        ] {
            assert!(parse(&one).is_some(), "{one}");
            assert_eq!(parse(&one), parse(&two), "{one} {two}");
        }
        assert_ne!(parse(&json!("1G")), parse(&json!("1Gi")));
        assert_ne!(parse(&json!("1m")), parse(&json!("1M")));
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in [
            "",
            "m",
            ".",
            "1.2.3",
            "1 Gi",
            "1x",
            "1e",
            "1e99",
            "--1",
            "99999999999999999999999999999999",
        ] {
            assert_eq!(parse(&json!(text)), None, "{text}");
        }
    }
}

//! Cells laid out in columns.

use console::{Alignment, measure_text_width, pad_str};

/// A line for each row. Every column is as wide as its widest cell. Cells may be styled; the caller cleans foreign text.
pub fn columns<const COUNT: usize>(rows: &[[String; COUNT]]) -> Vec<String> {
    let width = |column: usize| {
        rows.iter().map(|row| measure_text_width(&row[column])).max().unwrap_or_default()
    };
    let widths: [usize; COUNT] = std::array::from_fn(width);
    let line = |row: &[String; COUNT]| {
        let cells = row.iter().zip(widths);
        let cells = cells.map(|(cell, width)| pad_str(cell, width, Alignment::Left, None));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_the_visible_width_of_their_cells() {
        let rows = [["A", "B", "C"], ["\u{1b}[32mlong\u{1b}[0m", "ü", ""], ["", "two", "end"]]
            .map(|row| row.map(str::to_owned));
        assert_eq!(
            columns(&rows),
            ["A     B    C", "\u{1b}[32mlong\u{1b}[0m  ü", "      two  end"]
        );
    }
}

//! A difference for people: one unified diff per object, coloured on terminals.

use console::Style;

use super::plain::change_word;
use todohost_model::event::{Difference, ObjectDifference};
use todohost_model::object::ObjectChange;
use todohost_model::text::clean;

/// The text of a difference; `colours` for a terminal.
pub fn difference_text(difference: &Difference, colours: bool) -> String {
    let paint = |style: Style| style.force_styling(colours);
    let (bold, red, green, cyan) = (
        paint(Style::new().bold()),
        paint(Style::new().red()),
        paint(Style::new().green()),
        paint(Style::new().cyan()),
    );
    let mut lines = Vec::new();
    for one in &difference.objects {
        lines.push(bold.apply_to(heading(one)).to_string());
        for line in one.diff.lines() {
            let line = clean(line);
            lines.push(match line.as_bytes().first() {
                Some(b'+') => green.apply_to(line).to_string(),
                Some(b'-') => red.apply_to(line).to_string(),
                Some(b'@') => cyan.apply_to(line).to_string(),
                _ => line.into_owned(),
            });
        }
    }
    for image in &difference.images {
        lines.push(bold.apply_to(format!("image {} would be built", clean(image))).to_string());
    }
    for hook in &difference.hooks {
        lines.push(bold.apply_to(format!("hook {} would run", clean(hook))).to_string());
    }
    lines.join("\n")
}

fn heading(one: &ObjectDifference) -> String {
    let object = one.object.to_string();
    let object = format!("{} {}", clean(&one.object.api_version), clean(&object));
    match (one.change, &one.reason) {
        (ObjectChange::Kept, Some(reason)) => format!("{object} stays: {}", clean(reason)),
        (change, Some(reason)) => {
            format!("{object} would be {} ({})", change_word(change), clean(reason))
        }
        (change, None) => format!("{object} would be {}", change_word(change)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use todohost_model::object::ObjectRef;

    #[test]
    fn lines_are_safe_and_colours_are_for_terminals() {
        let object = ObjectRef {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: None,
            name: "a".into(),
        };
        let diff = "@@ -1 +1 @@\n-  a: \u{1b}[2Jold\n+  a: new\n".to_owned();
        let change = ObjectChange::Configured;
        let difference = Difference {
            objects: vec![ObjectDifference { object, change, reason: None, diff }],
            images: vec!["web:1".into()],
            hooks: vec!["Job/migrate (pre-upgrade)".into()],
            ..Difference::default()
        };
        assert_eq!(
            difference_text(&difference, false),
            "v1 ConfigMap/a would be configured\n@@ -1 +1 @@\n-  a: old\n+  a: new\n\
             image web:1 would be built\nhook Job/migrate (pre-upgrade) would run"
        );
        assert!(difference_text(&difference, true).contains("\u{1b}[32m+  a: new\u{1b}[0m"));
    }
}

//! Finds the template that an object was rendered from, since rendered objects do not name it.
//!
//! A template is not valid YAML before it is rendered, so only its lines `kind:` and `name:` are read. If more than one
//! template matches, none is reported.

use crate::location::Location;

/// One document of a template file; `---` separates documents.
#[derive(Debug)]
pub struct Template {
    kind: String,
    /// The literal end of the object's name, after the last `}}`.
    name: String,
    location: Location,
}

impl Template {
    /// The documents of a template file.
    pub fn read(path: &str, text: &str) -> Vec<Self> {
        let mut documents = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            if line.trim_end() == "---" {
                documents.push(Vec::new());
            }
            if documents.is_empty() {
                documents.push(Vec::new());
            }
            if let Some(document) = documents.last_mut() {
                document.push((start, line));
            }
            start += line.len();
        }
        documents.iter().filter_map(|lines| Self::of(path, text, lines)).collect()
    }

    fn of(path: &str, text: &str, lines: &[(usize, &str)]) -> Option<Self> {
        let (start, kind) =
            lines.iter().find_map(|(start, line)| Some((start, line.strip_prefix("kind:")?)))?;
        let name = lines.iter().find_map(|(_, line)| line.strip_prefix("  name:")).unwrap_or("");
        Some(Self {
            kind: kind.trim().to_owned(),
            name: name.rsplit("}}").next().unwrap_or_default().trim().trim_matches('"').to_owned(),
            location: Location::line(path, text, *start),
        })
    }
}

/// The only template that can have rendered an object of this kind and name.
pub fn origin(templates: &[Template], kind: &str, name: &str) -> Option<Location> {
    let fits: Vec<&Template> = templates
        .iter()
        .filter(|template| template.kind == kind && name.ends_with(&template.name))
        .collect();
    // `web` and `api-web` both end with `web`: the longest match wins.
    let longest = fits.iter().map(|template| template.name.len()).max()?;
    let mut best = fits.iter().filter(|template| template.name.len() == longest);
    let first = best.next()?;
    best.next().is_none().then(|| first.location.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_is_traced_to_its_template() {
        let text = |name: &str| {
            format!(
                "{{{{ if .x }}}}\nkind: Deployment\nmetadata:\n  name: {{{{ .Release.Name }}}}{name}\n"
            )
        };
        let mut templates = Template::read("a.yaml", &text("-web"));
        templates
            .extend(Template::read("b.yaml", &format!("{}---\nkind: Service\n", text("-api"))));
        let found =
            |kind: &str, name: &str| origin(&templates, kind, name).map(|at| at.to_string());
        assert_eq!(found("Deployment", "x-web").as_deref(), Some("a.yaml:2"));
        assert_eq!(found("Deployment", "x-api").as_deref(), Some("b.yaml:2"));
        assert_eq!(found("Service", "any").as_deref(), Some("b.yaml:6"));
        assert_eq!(found("Deployment", "x"), None);
        templates.extend(Template::read("c.yaml", &text("-web")));
        assert_eq!(origin(&templates, "Deployment", "x-web"), None);
    }
}

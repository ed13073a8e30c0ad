//! A project as a map of texts, read from a directory, edited in memory, and checked in both phases.

use crate::judgement::{Facts, Row, Skipped};
use crate::project::Project;
use crate::release::Release;
use crate::rows::TABLES;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use todohost_plugin::Finding;
use todohost_plugin::subject::Rendered;

/// File of a fixture with its rendered objects.
const RENDERED: &str = "rendered.yaml";

pub struct World {
    files: BTreeMap<String, String>,
}

impl World {
    pub fn empty() -> Self {
        Self { files: BTreeMap::new() }
    }

    pub fn fixture(name: &str) -> Self {
        let root = Path::new("tests/fixtures").join(name);
        Self::at(&root, &[""])
    }

    /// The project file and all text files below some directories.
    pub fn at(root: &Path, folders: &[&str]) -> Self {
        let mut world = Self::empty();
        world.write("todohost.toml", &fs::read_to_string(root.join("todohost.toml")).unwrap());
        for folder in folders {
            world.add(root, folder);
        }
        world
    }

    fn add(&mut self, root: &Path, path: &str) {
        let full = root.join(path);
        if full.is_file() {
            if let Ok(text) = fs::read_to_string(full) {
                self.write(path, &text);
            }
            return;
        }
        for entry in fs::read_dir(full).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !["node_modules", ".venv", ".next"].contains(&name.as_str()) {
                self.add(root, &crate::project::join(path, &name));
            }
        }
    }

    pub fn write(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), text.to_owned());
    }

    pub fn remove(&mut self, path: &str) {
        assert!(self.files.remove(path).is_some(), "{path}");
    }

    /// Replaces the first occurrence of a text that must exist.
    pub fn replace(&mut self, path: &str, old: &str, new: &str) {
        let text = self.files.get_mut(path).unwrap();
        assert!(text.contains(old), "{path} has no {old:?}");
        *text = text.replacen(old, new, 1);
    }

    pub fn text(&self, path: &str) -> &str {
        &self.files[path]
    }

    fn read(&self, path: &str) -> Option<String> {
        self.files.get(path).cloned()
    }

    pub fn project(&self) -> Project {
        Project::read(self.files.keys().cloned().collect(), &|path| Ok(self.read(path))).unwrap()
    }

    fn release(&self) -> Release {
        let objects: Vec<Value> = self
            .text(RENDERED)
            .split("\n---\n")
            .map(|document| serde_saphyr::from_str(document).unwrap())
            .collect();
        let declared = self.project().declared;
        let images: Vec<Value> = declared
            .images
            .keys()
            .map(|name| json!({"name": name, "reference": format!("{name}:1")}))
            .collect();
        let app = json!({"name": "a", "namespace": "a"});
        let subject = json!({"app": app, "objects": objects, "images": images});
        let rendered: Rendered = serde_json::from_value(subject).unwrap();
        let list = |folder: &str| {
            Ok(self.files.keys().filter(|path| path.starts_with(folder)).cloned().collect())
        };
        Release::read(rendered, &|path| Ok(self.read(path)), &list).unwrap()
    }

    /// The findings of both phases, in the order of the tables.
    pub fn judge(&self) -> Vec<Finding> {
        self.judge_without(&Skipped::new())
    }

    /// Like [`Self::judge`], with rows that the project skips.
    pub fn judge_without(&self, skipped: &Skipped) -> Vec<Finding> {
        let (project, release) = (self.project(), self.release());
        let facts = [Facts::Files(&project), Facts::Objects(&release)];
        let finding = |row: &Row| facts.iter().find_map(|facts| row.finding(facts, skipped));
        TABLES.iter().flat_map(|table| table.rows).filter_map(finding).collect()
    }
}

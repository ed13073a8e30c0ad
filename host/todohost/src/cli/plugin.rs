//! `plugin`: lists components, shows their requests, and records consent.

use std::fmt::Write as _;

use serde_json::json;

use super::arguments::{Common, OutputFormat};
use super::{Cli, current_directory};
use todohost_engine::RunError;
use todohost_model::text;
use todohost_project::Project;
use todohost_runtime::grant::Granter;
use todohost_runtime::plugin::{PluginInfo, Registry};

impl Cli {
    pub(super) fn plugin_list(&self, common: &Common) -> Result<(), RunError> {
        let plugins = self.plugins(common)?.list();
        let text = plugins.iter().fold(String::new(), |mut text, plugin| {
            if common.output == OutputFormat::Name {
                let _ = writeln!(text, "{}", plugin.id);
            } else {
                let version = plugin.version.to_string();
                let _ = writeln!(
                    text,
                    "{:<20} {version:<8} {:<16} {}",
                    plugin.id,
                    roles(plugin),
                    text::clean(&plugin.description)
                );
            }
            text
        });
        let text = if plugins.is_empty() { "no plugins found\n".to_owned() } else { text };
        self.show(common, &plugins.iter().map(document).collect::<Vec<_>>(), &text)
    }

    pub(super) fn plugin_inspect(&self, common: &Common, name: &str) -> Result<(), RunError> {
        let plugin = self.plugins(common)?.resolve(name)?;
        let granter = Granter::open(&self.environment.config_dir())?;
        let mut text = format!(
            "{} {}\n  {}\n  file     {}\n  sha256   {}\n  roles    {}\n  imports  {}\n",
            plugin.id,
            plugin.version,
            text::clean(&plugin.description),
            text::clean(&plugin.path.display().to_string()),
            plugin.digest,
            roles(&plugin),
            plugin.imports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        );
        text.push_str("  requests\n");
        for line in plugin.manifest.requests.lines() {
            let _ = writeln!(text, "    {}", text::clean(&line));
        }
        for line in options(&plugin) {
            let _ = writeln!(text, "{}", text::clean(&line));
        }
        let trust = if plugin.core {
            "comes with this program: all requests are granted".to_owned()
        } else if granter.is_allowed(&plugin) {
            "allowed by you".to_owned()
        } else {
            format!("not allowed yet: todohost plugin allow {name}")
        };
        let _ = writeln!(text, "  trust    {trust}");
        self.show(common, &document(&plugin), &text)
    }

    pub(super) fn plugin_allow(&self, common: &Common, name: &str) -> Result<(), RunError> {
        let plugin = self.plugins(common)?.resolve(name)?;
        let mut granter = Granter::open(&self.environment.config_dir())?;
        granter.allow(&plugin)?;
        let mut text = format!("{} {} is allowed:\n", plugin.id, plugin.version);
        for line in plugin.manifest.requests.lines() {
            let _ = writeln!(text, "  {}", text::clean(&line));
        }
        let _ = writeln!(text, "kept in {}", granter.file().display());
        self.show(common, &document(&plugin), &text)
    }

    /// Works outside of a project, too.
    fn plugins(&self, common: &Common) -> Result<Registry, RunError> {
        let directory = current_directory()?;
        // A path on the command line is relative to the current directory.
        let root = match &common.project {
            Some(path) => Project::open(Some(path), &directory)?.root,
            None => directory,
        };
        self.registry(&root)
    }
}

/// The options that a plugin takes, as its schema describes them.
fn options(plugin: &PluginInfo) -> Vec<String> {
    let schema: Option<serde_json::Value> =
        plugin.manifest.options.schema.as_ref().and_then(|text| serde_json::from_str(text).ok());
    let properties = schema.as_ref().and_then(|schema| schema["properties"].as_object());
    let mut lines: Vec<String> = properties
        .into_iter()
        .flatten()
        .map(|(name, about)| {
            let default = about.get("default").map(|value| format!(" [default: {value}]"));
            let description = about["description"].as_str().unwrap_or_default();
            format!("    {name}  {description}{}", default.unwrap_or_default())
        })
        .collect();
    if !lines.is_empty() {
        lines.insert(0, "  options".to_owned());
    }
    lines
}

fn roles(plugin: &PluginInfo) -> String {
    plugin.roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn document(plugin: &PluginInfo) -> serde_json::Value {
    json!({
        "id": plugin.id,
        "version": plugin.version.to_string(),
        "description": plugin.description,
        "path": plugin.path,
        "sha256": plugin.digest,
        "roles": plugin.roles,
        "imports": plugin.imports,
        "requests": plugin.manifest.requests,
        "core": plugin.core,
    })
}

//! Embeds the digests of the core plugins that are built together with this host.
//!
//! The list comes from the file that `TODOHOST_CORE_PLUGINS` names: `core.json` as `cargo xtask plugins`
//! writes it. Without it the list is empty and no plugin is trusted.

#![expect(clippy::disallowed_methods, reason = "a build script's inputs are variables")]

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

const VARIABLE: &str = "TODOHOST_CORE_PLUGINS";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    let mut code = String::from(
        "/// Id and SHA-256 of each core plugin that was built with this program.\nconst CORE_PLUGINS: &[(&str, &str)] = &[\n",
    );
    if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        println!("cargo::rerun-if-changed={}", path.display());
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("{VARIABLE}: {}: {error}", path.display()))?;
        let list: serde_json::Value = serde_json::from_str(&text)?;
        for plugin in
            list["plugins"].as_array().ok_or("no `plugins` in the list of core plugins")?
        {
            let (id, digest) = (plugin["id"].as_str(), plugin["sha256"].as_str());
            let (Some(id), Some(digest)) = (id, digest) else {
                return Err(format!("a core plugin without `id` or `sha256`: {plugin}").into());
            };
            writeln!(code, "    ({id:?}, {digest:?}),")?;
        }
    }
    code.push_str("];\n");
    let out = env::var_os("OUT_DIR").ok_or("cargo gives OUT_DIR")?;
    fs::write(PathBuf::from(out).join("core_plugins.rs"), code)?;
    Ok(())
}

//! Code that `wit-bindgen` generates from the WIT package: one module with every import, and one per step world.
//!
//! The step worlds reuse the types of [`host`], so a finding has the same Rust type in every step. Plugins use the
//! other modules of this crate, which wrap the generated code.

/// Imports of every world, and the types shared by all interfaces.
pub mod host {
    wit_bindgen::generate!({
        world: "host-api",
        path: "../../wit",
        runtime_path: "::todohost_plugin::wit_bindgen::rt",
        additional_derives: [PartialEq, Eq],
        generate_unused_types: true,
    });
}

macro_rules! step {
    ($module:ident, $world:literal, $path:literal, { $($with:tt)* }) => {
        #[doc = concat!("Exports of the world `", $world, "`.")]
        pub mod $module {
            wit_bindgen::generate!({
                world: $world,
                path: "../../wit",
                runtime_path: "::todohost_plugin::wit_bindgen::rt",
                additional_derives: [PartialEq, Eq],
                pub_export_macro: true,
                default_bindings_module: $path,
                with: {
                    "todohost:plugin/types@0.0.1": crate::bindings::host::todohost::plugin::types,
                    "todohost:plugin/env@0.0.1": crate::bindings::host::todohost::plugin::env,
                    "todohost:plugin/log@0.0.1": crate::bindings::host::todohost::plugin::log,
                    $($with)*
                },
            });
        }
    };
}

step!(target, "target-plugin", "todohost_plugin::bindings::target", {
    "todohost:plugin/workspace@0.0.1": crate::bindings::host::todohost::plugin::workspace,
    "todohost:plugin/process@0.0.1": crate::bindings::host::todohost::plugin::process,
    "todohost:plugin/cluster-read@0.0.1": crate::bindings::host::todohost::plugin::cluster_read,
    "todohost:plugin/cluster-write@0.0.1": crate::bindings::host::todohost::plugin::cluster_write,
    "todohost:plugin/http-probe@0.0.1": crate::bindings::host::todohost::plugin::http_probe,
    "todohost:plugin/tcp@0.0.1": crate::bindings::host::todohost::plugin::tcp,
});
step!(build, "build-plugin", "todohost_plugin::bindings::build", {
    "todohost:plugin/workspace@0.0.1": crate::bindings::host::todohost::plugin::workspace,
    "todohost:plugin/process@0.0.1": crate::bindings::host::todohost::plugin::process,
    "todohost:plugin/cluster-read@0.0.1": crate::bindings::host::todohost::plugin::cluster_read,
    "todohost:plugin/cluster-write@0.0.1": crate::bindings::host::todohost::plugin::cluster_write,
    "todohost:plugin/http-probe@0.0.1": crate::bindings::host::todohost::plugin::http_probe,
    "todohost:plugin/tcp@0.0.1": crate::bindings::host::todohost::plugin::tcp,
});
step!(render, "render-plugin", "todohost_plugin::bindings::render", {
    "todohost:plugin/workspace@0.0.1": crate::bindings::host::todohost::plugin::workspace,
    "todohost:plugin/cluster-read@0.0.1": crate::bindings::host::todohost::plugin::cluster_read,
});
step!(apply, "apply-plugin", "todohost_plugin::bindings::apply", {});
step!(verify, "verify-plugin", "todohost_plugin::bindings::verify", {});
step!(check, "check-plugin", "todohost_plugin::bindings::check", {
    "todohost:plugin/workspace@0.0.1": crate::bindings::host::todohost::plugin::workspace,
    "todohost:plugin/cluster-read@0.0.1": crate::bindings::host::todohost::plugin::cluster_read,
    "todohost:plugin/http-probe@0.0.1": crate::bindings::host::todohost::plugin::http_probe,
    "todohost:plugin/tcp@0.0.1": crate::bindings::host::todohost::plugin::tcp,
});

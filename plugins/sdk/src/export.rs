//! The macro `export!`.

/// Exports the steps of a plugin and embeds its manifest: `export!(MyPlugin: target, check);`
///
/// The names after the colon are steps: `target`, `build`, `render`, `apply`, `verify` or `check`. The type must
/// implement the trait of each step. Call the macro once, at the top level of the plugin's crate. It reads the manifest
/// from the file `plugin.toml` next to `Cargo.toml`.
#[macro_export]
macro_rules! export {
    ($plugin:ident: $($step:ident),+ $(,)?) => {
        $($crate::export!(@step $step $plugin);)+

        // Only WebAssembly has custom sections; native builds are for tests.
        #[cfg(target_arch = "wasm32")]
        #[used]
        #[unsafe(link_section = "todohost:manifest")]
        static TODOHOST_MANIFEST: [u8; include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/plugin.toml")).len()] =
            *include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/plugin.toml"));
    };
    (@step target $plugin:ident) => { $crate::export!(@guest target $plugin); };
    (@step build $plugin:ident) => { $crate::export!(@guest build $plugin); };
    (@step render $plugin:ident) => { $crate::export!(@guest render $plugin); };
    (@step apply $plugin:ident) => { $crate::export!(@guest apply $plugin); };
    (@step verify $plugin:ident) => { $crate::export!(@guest verify $plugin); };
    (@step check $plugin:ident) => { $crate::export!(@guest check $plugin); };
    (@step $other:ident $plugin:ident) => {
        compile_error!(concat!(
            "unknown step `", stringify!($other),
            "`: expected target, build, render, apply, verify or check"
        ));
    };
    (@guest $step:ident $plugin:ident) => {
        const _: () = {
            type Guest = $crate::$step::Adapter<$plugin>;
            $crate::bindings::$step::export!(Guest with_types_in $crate::bindings::$step);
        };
    };
}

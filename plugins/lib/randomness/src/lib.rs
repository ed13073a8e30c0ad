//! Connects libraries in a plugin to the host's randomness.
//!
//! On `wasm32-unknown-unknown`, `getrandom` (the source of seeds for hash tables) would call JavaScript. A flag in
//! `.cargo/config.toml` makes it call this crate instead. A plugin with libraries that use `getrandom` imports the
//! crate once: `use todohost_randomness as _;`.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod hook {
    /// Fills `length` bytes, beginning at `target`.
    ///
    /// # Safety
    /// The caller, `getrandom`, guarantees that the bytes can be written.
    #[unsafe(no_mangle)]
    unsafe extern "Rust" fn __getrandom_v03_custom(
        target: *mut u8,
        length: usize,
    ) -> Result<(), getrandom_03::Error> {
        let wanted = u32::try_from(length).map_err(|_| getrandom_03::Error::UNEXPECTED)?;
        let bytes = todohost_plugin::env::random(wanted);
        if bytes.len() != length {
            return Err(getrandom_03::Error::UNEXPECTED);
        }
        // SAFETY: the caller owns `length` bytes at `target`, and `bytes` is a new allocation of that length.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, length) };
        Ok(())
    }
}

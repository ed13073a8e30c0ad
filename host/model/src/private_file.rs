//! Files that only the user may read: caches, the index of plugins and the consents.

use std::io::{self, Write};
use std::path::Path;

use fs_err as fs;

/// Creates a directory with mode 0700, or changes the mode of an existing one.
pub fn directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let metadata = fs::metadata(path)?;
        if metadata.mode() & 0o777 != 0o700 {
            // Fails if the directory belongs to another user, so it is never trusted.
            fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
        }
    }
    Ok(())
}

/// Writes a file with mode 0600 atomically.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Two runs, or two steps of a run, may write the same file at the same time.
    let thread = format!("{:?}", std::thread::current().id()).replace(['(', ')'], "");
    let fresh = parent.join(format!(".{name}.{}.{thread}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use fs::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&fresh, path)
}

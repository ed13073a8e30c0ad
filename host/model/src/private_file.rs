//! Files that only the user may read: caches, the index of plugins and the consents.

use std::io::{self, Write};
use std::path::Path;

use fs_err as fs;

/// Makes a directory that only the user may enter; takes others' rights away where it exists.
pub fn directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let metadata = fs::metadata(path)?;
        if metadata.mode() & 0o777 != 0o700 {
            // Fails where it belongs to somebody else: then it is not ours to trust.
            fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
        }
    }
    Ok(())
}

/// Writes a file of mode 0600 in one step: a reader sees the old content or the new one.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Two runs, or two steps of one, may write the same file.
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

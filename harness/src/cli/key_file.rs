//! Files with private keys: for their owner's eyes only.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context, Result, bail};
use remit_core::keys::Algorithm;
use remit_harness::signing::SigningKey;

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads a private key.
pub(super) fn read(path: &Path, algorithm: Option<Algorithm>) -> Result<SigningKey> {
    let name = || path.display().to_string();
    SigningKey::parse(&private(path)?, algorithm).with_context(name)
}

/// Reads a secret for HS256, which is the file as it stands.
pub(super) fn read_secret(path: &Path) -> Result<SigningKey> {
    SigningKey::from_secret(&private(path)?).with_context(|| path.display().to_string())
}

fn private(path: &Path) -> Result<String> {
    let name = || path.display().to_string();
    let file = std::fs::File::open(path).with_context(name)?;
    check_mode(&file).with_context(name)?;
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).with_context(name)?;
    Ok(text)
}

/// Makes a private key and writes it to a file that is not there yet.
pub(super) fn create(path: &Path, algorithm: Algorithm, kid: Option<&str>) -> Result<SigningKey> {
    let key = SigningKey::generate(algorithm, kid)?;
    write(path, &key)?;
    Ok(key)
}

/// Writes a private key to a file that is not there yet.
pub(super) fn write(path: &Path, key: &SigningKey) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).with_context(|| path.display().to_string())?;
    file.write_all(key.private_jwk().as_bytes()).and_then(|()| file.write_all(b"\n"))?;
    Ok(())
}

#[cfg(unix)]
fn check_mode(file: &std::fs::File) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = file.metadata()?.mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!("others can read this private key (mode {mode:03o}): chmod 600");
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_file: &std::fs::File) -> Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keys_are_for_their_owner_only() {
        let path = std::env::temp_dir().join(format!("remit-key-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let key = create(&path, Algorithm::Es256, Some("k1")).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path, None).unwrap().public_jwk(), key.public_jwk());
        assert!(create(&path, Algorithm::Es256, None).is_err(), "never overwritten");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = format!("{:#}", read(&path, None).unwrap_err());
        assert!(error.contains("mode 640): chmod 600"), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert!(read(&path, None).is_err());
    }
}

//! The certificate of private servers that speak TLS as well, for the tests of encryption.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::process::Account;

/// A certificate and its key, where the server's account may read them.
pub(crate) struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// Copies `server.pem` and `server.key` from the folder that [`crate::TLS_FOLDER`] names; none when it names none.
    pub(crate) fn wanted(account: &Account, home: &Path) -> Result<Option<Self>> {
        let Some(folder) = std::env::var_os(crate::TLS_FOLDER) else { return Ok(None) };
        let copy = |name: &str| {
            let from = Path::new(&folder).join(name);
            let text = std::fs::read_to_string(&from).with_context(|| format!("reading {}", from.display()))?;
            let to = home.join(name);
            account.file(&to, &text)?;
            // PostgreSQL refuses a key that others may read.
            std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o600))
                .with_context(|| format!("protecting {}", to.display()))?;
            anyhow::Ok(to)
        };
        Ok(Some(Self { certificate: copy("server.pem")?, key: copy("server.key")? }))
    }
}

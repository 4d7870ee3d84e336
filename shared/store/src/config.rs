//! Where the objects are, and where this process may write scratch files.

use std::path::PathBuf;

use url::Url;

use crate::error::StoreError;

/// Settings of the object store.
#[derive(clap::Args, Clone, Debug)]
pub struct StoreConfig {
    /// Folder of the archives, as a URL, the same for all workers: `file:///var/lib/passereau/store`.
    #[arg(id = "store_url", long = "store-url", env = "PASSEREAU_STORE_URL", value_name = "URL")]
    pub url: String,
    /// Folder for scratch files of this process; it needs room for one archive.
    #[arg(id = "scratch_dir", long = "scratch-dir", env = "PASSEREAU_SCRATCH_DIR", default_value_os_t = std::env::temp_dir(), value_name = "FOLDER")]
    pub scratch: PathBuf,
}

impl StoreConfig {
    /// The folder that the URL names.
    pub(crate) fn folder(&self) -> Result<PathBuf, StoreError> {
        let refuse = |problem: &'static str| StoreError::Url { problem };
        let url = Url::parse(&self.url).map_err(|_| refuse("it is not a URL"))?;
        if url.scheme() != "file" {
            return Err(refuse("only file:// is understood"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it must not have a query or a fragment"));
        }
        url.to_file_path().map_err(|()| refuse("it must name an absolute folder of this machine, with three slashes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(url: &str) -> Result<PathBuf, StoreError> {
        StoreConfig { url: url.to_owned(), scratch: PathBuf::new() }.folder()
    }

    #[test]
    fn a_folder_is_named_by_a_file_url() {
        assert!(folder("file:///var/lib/passereau/store").is_ok_and(|path| path == *"/var/lib/passereau/store"));
    }

    #[test]
    fn anything_else_is_refused_without_showing_the_url() {
        for url in ["/var/lib/store", "s3://key:secret@bucket/store", "file://host/store", "file:///store?x=1"] {
            let error = folder(url).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("PASSEREAU_STORE_URL") && !error.contains("secret"), "{url}: {error}");
        }
    }
}

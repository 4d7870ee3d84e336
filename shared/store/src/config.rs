//! Where the objects are, and where this process may write scratch files.

use std::path::PathBuf;

use url::Url;

use crate::error::StoreError;

/// Settings of the object store.
#[derive(clap::Args, Clone, Debug)]
pub struct StoreConfig {
    /// Where archives and deliveries lie, as a URL, the same for all workers: a folder that all of them see (`file:///var/lib/passereau/store`) or a
    /// bucket of the S3 kind (`s3://bucket/passereau`, with the usual AWS_… variables).
    #[arg(id = "store_url", long = "store-url", env = "PASSEREAU_STORE_URL", value_name = "URL")]
    pub url: String,
    /// Folder for scratch files of this process; it needs room for one archive.
    #[arg(id = "scratch_dir", long = "scratch-dir", env = "PASSEREAU_SCRATCH_DIR", default_value_os_t = std::env::temp_dir(), value_name = "FOLDER")]
    pub scratch: PathBuf,
}

impl StoreConfig {
    /// What the URL names.
    pub(crate) fn place(&self) -> Result<Place, StoreError> {
        let refuse = |problem: &'static str| StoreError::Url { problem };
        let url = Url::parse(&self.url).map_err(|_| refuse("it is not a URL"))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it must not have a query or a fragment"));
        }
        match url.scheme() {
            "file" => url
                .to_file_path()
                .map(Place::Folder)
                .map_err(|()| refuse("it must name an absolute folder of this machine, with three slashes")),
            "s3" => {
                if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
                    return Err(refuse("a bucket's URL holds no credentials and no port, see the variables AWS_…"));
                }
                let bucket = url.host_str().filter(|bucket| !bucket.is_empty()).ok_or(refuse("it names no bucket"))?;
                let prefix = url.path().trim_matches('/').to_owned();
                Ok(Place::Bucket { bucket: bucket.to_owned(), prefix })
            }
            _ => Err(refuse("only file:// and s3:// are understood")),
        }
    }
}

/// A place of objects.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket of the S3 kind, and what comes before each key in it.
    Bucket { bucket: String, prefix: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Result<Place, StoreError> {
        StoreConfig { url: url.to_owned(), scratch: PathBuf::new() }.place()
    }

    #[test]
    fn a_folder_is_named_by_a_file_url() {
        let folder = PathBuf::from("/var/lib/passereau/store");
        assert!(place("file:///var/lib/passereau/store").is_ok_and(|found| found == Place::Folder(folder)));
    }

    #[test]
    fn a_bucket_is_named_by_an_s3_url() {
        for (url, prefix) in [("s3://birds", ""), ("s3://birds/", ""), ("s3://birds/a/b/", "a/b")] {
            let expected = Place::Bucket { bucket: "birds".to_owned(), prefix: prefix.to_owned() };
            assert!(place(url).is_ok_and(|found| found == expected), "{url}");
        }
    }

    #[test]
    fn anything_else_is_refused_without_showing_the_url() {
        for url in
            ["/var/lib/store", "s3://key:secret@bucket/store", "s3:///store", "file://host/store", "file:///store?x=1"]
        {
            let error = place(url).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("PASSEREAU_STORE_URL") && !error.contains("secret"), "{url}: {error}");
        }
    }
}

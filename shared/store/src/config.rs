//! Where the objects are, and where this process may write scratch files.

use std::path::PathBuf;

use passereau_secret::SecretString;
use url::Url;

use crate::error::StoreError;

/// Settings of the object store.
#[derive(clap::Args, Clone, Debug)]
pub struct StoreConfig {
    /// Where archives and deliveries lie, as a URL, the same for all workers: a folder that all of them see (`file:///var/lib/passereau/store`) or a
    /// bucket of the S3 kind (`s3://bucket/passereau`; where it is, say the usual variables AWS_REGION, AWS_ENDPOINT_URL and AWS_ALLOW_HTTP).
    #[arg(id = "store_url", long = "store-url", env = "PASSEREAU_STORE_URL", value_name = "URL")]
    pub url: String,
    /// Folder for scratch files of this process; it needs room for one archive.
    #[arg(id = "scratch_dir", long = "scratch-dir", env = "PASSEREAU_SCRATCH_DIR", default_value_os_t = std::env::temp_dir(), value_name = "FOLDER")]
    pub scratch: PathBuf,
    /// Id of the key that opens the bucket, instead of AWS_ACCESS_KEY_ID or a role of the machine or the pod.
    #[arg(
        id = "store_access_key_id",
        long = "store-access-key-id",
        env = "PASSEREAU_STORE_ACCESS_KEY_ID",
        value_name = "ID"
    )]
    pub access_key_id: Option<String>,
    /// The secret key that belongs to the id, instead of AWS_SECRET_ACCESS_KEY or a role of the machine or the pod.
    #[arg(id = "store_secret_access_key", long = "store-secret-access-key", env = SECRET_KEY, hide_env_values = true, value_name = "KEY")]
    pub secret_access_key: Option<SecretString>,
    /// File that holds the secret key, instead of the key itself.
    #[arg(
        id = "store_secret_access_key_file",
        long = "store-secret-access-key-file",
        env = "PASSEREAU_STORE_SECRET_ACCESS_KEY_FILE",
        value_name = "FILE"
    )]
    pub secret_access_key_file: Option<PathBuf>,
}

const SECRET_KEY: &str = "PASSEREAU_STORE_SECRET_ACCESS_KEY";

impl StoreConfig {
    /// The store of this URL, with scratch files in that folder. A bucket is opened by what the variables AWS_… or the machine's role say.
    #[must_use]
    pub fn new(url: impl Into<String>, scratch: impl Into<PathBuf>) -> Self {
        Self {
            url: url.into(),
            scratch: scratch.into(),
            access_key_id: None,
            secret_access_key: None,
            secret_access_key_file: None,
        }
    }

    /// The secret key of the bucket, if one of our settings holds it.
    pub(crate) fn secret_key(&self) -> Result<Option<SecretString>, StoreError> {
        Ok(passereau_secret::read(SECRET_KEY, self.secret_access_key.as_ref(), self.secret_access_key_file.as_deref())?)
    }

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
    use clap::{Args, Command, FromArgMatches};

    use super::*;
    use crate::Store;

    fn parse(words: &[&str]) -> StoreConfig {
        let command = StoreConfig::augment_args(Command::new("worker"));
        let given = [&["worker", "--store-url", "s3://birds/store"], words].concat();
        StoreConfig::from_arg_matches(&command.get_matches_from(given)).expect("parsed")
    }

    fn place(url: &str) -> Result<Place, StoreError> {
        StoreConfig::new(url, PathBuf::new()).place()
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

    #[test]
    fn the_key_of_a_bucket_is_a_setting_that_help_lists() {
        let help = StoreConfig::augment_args(Command::new("worker")).render_long_help().to_string();
        for variable in ["PASSEREAU_STORE_ACCESS_KEY_ID", SECRET_KEY, "PASSEREAU_STORE_SECRET_ACCESS_KEY_FILE"] {
            assert!(help.contains(&format!("[env: {variable}")), "{variable} is missing in {help}");
        }
    }

    #[test]
    fn the_secret_of_a_bucket_is_not_shown() {
        let config = parse(&["--store-access-key-id", "hermine", "--store-secret-access-key", "opensesame"]);
        assert!(!format!("{config:?}").contains("sesame"));
        let store = Store::open(&config).expect("opened");
        assert!(!format!("{store:?}").contains("sesame"));
    }

    #[test]
    fn the_secret_of_a_bucket_comes_from_a_file_or_from_the_setting_and_not_from_both() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key");
        std::fs::write(&file, "opensesame\n").expect("written");
        let file = file.to_str().expect("a path in UTF-8");
        let from_file = parse(&["--store-secret-access-key-file", file]);
        let secret = from_file.secret_key().expect("read").expect("a key");
        assert_eq!(passereau_secret::ExposeSecret::expose_secret(&secret), "opensesame");

        let both = parse(&["--store-secret-access-key-file", file, "--store-secret-access-key", "opensesame"]);
        let error = Store::open(&both).expect_err("refused").to_string();
        assert!(error.contains(SECRET_KEY) && !error.contains("opensesame"), "{error}");
        assert!(parse(&[]).secret_key().expect("read").is_none());
    }
}

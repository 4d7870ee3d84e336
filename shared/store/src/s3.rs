//! A store in a bucket of the S3 kind, for workers on several hosts without a shared folder.
//!
//! Where it is and who may use it, is said as all programs that use S3 are told: `AWS_REGION` (us-east-1 if not said), `AWS_ENDPOINT_URL` (for stores other than
//! Amazon's), `AWS_ALLOW_HTTP`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, or a role of the machine or the pod
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html>). The key of [`StoreConfig`] goes before these: its secret may come from a file,
//! which the standard variables do not know.
//!
//! An upload in parts is invisible until it is completed, as the API promises
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>), so the store's invariant holds. One that was never completed takes room: a
//! lifecycle rule of the bucket should abort it after a day.

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ClientConfigKey, ObjectStore};
use passereau_secret::ExposeSecret;

use crate::config::StoreConfig;
use crate::error::StoreError;

/// How long one request may take, in object_store's words.
const WHOLE_REQUEST: &str = "1 hour";
/// How long a store may say nothing.
const SILENCE: &str = "30 seconds";

/// Opens `bucket`, with all objects below `prefix`. Asks nobody yet: a bucket that is not there shows at its first use.
pub(crate) fn open(config: &StoreConfig, bucket: &str, prefix: &str) -> Result<Arc<dyn ObjectStore>, StoreError> {
    // Another part of the process may have chosen one already.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    // One request carries a whole archive, which may take minutes; silence is another matter.
    for (key, value) in [(ClientConfigKey::Timeout, WHOLE_REQUEST), (ClientConfigKey::ReadTimeout, SILENCE)] {
        builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
    }
    // Compose files set a variable that is not meant to an empty text.
    if let Some(id) = config.access_key_id.as_ref().filter(|id| !id.is_empty()) {
        builder = builder.with_access_key_id(id);
    }
    if let Some(key) = config.secret_key()? {
        builder = builder.with_secret_access_key(key.expose_secret());
    }
    let objects = builder
        .build()
        .map_err(|source| StoreError::Bucket { bucket: bucket.to_owned(), reason: source.to_string() })?;
    Ok(if prefix.is_empty() { Arc::new(objects) } else { Arc::new(PrefixStore::new(objects, Path::from(prefix))) })
}

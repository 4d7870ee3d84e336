//! One TLS stack for the whole workspace: rustls with ring. And the authority that signed a broker's certificate, where it is one's own.

use std::path::Path;

use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::BrokerError;

/// Makes ring the process's cryptography, unless somebody already chose one. Call it first in every `main`; calling it again does nothing.
///
/// rustls refuses to choose when two providers are compiled in, and some dependency may bring a second one at any update. The
/// answer of `install_default` is an error only when a provider is already installed, which is what we want.
pub fn install_crypto() {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::trace!("a TLS provider was already installed");
    }
}

/// The text of the authority's file, looked through before it is needed: a file that holds no certificate would otherwise show as a broker that
/// is not trusted. `encrypted` tells whether the URL asks for TLS; an authority without it would be a promise that nobody keeps.
pub(crate) fn authority(file: Option<&Path>, encrypted: bool) -> Result<Option<String>, BrokerError> {
    let Some(file) = file.filter(|file| !file.as_os_str().is_empty()) else { return Ok(None) };
    let wrong = |problem: String| BrokerError::Authority { file: file.to_owned(), problem };
    if !encrypted {
        return Err(wrong(
            "is set, but PASSEREAU_AMQP_URL does not ask for TLS; write amqps:// (port 5671), or unset it".to_owned(),
        ));
    }
    let text = std::fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(Some(text)),
        Ok(_) => Err(wrong("holds no certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned())),
        Err(error) => Err(wrong(format!("holds a certificate that cannot be read: {error}"))),
    }
}

//! One TLS stack for the whole workspace: rustls with ring.

/// Makes ring the process's cryptography, unless somebody already chose one. Call it first in every `main`; calling it again does nothing.
///
/// rustls refuses to choose when two providers are compiled in, and some dependency may bring a second one at any update. The
/// answer of `install_default` is an error only when a provider is already installed, which is what we want.
pub fn install_crypto() {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::trace!("a TLS provider was already installed");
    }
}

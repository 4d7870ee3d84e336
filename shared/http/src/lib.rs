//! passereau-http

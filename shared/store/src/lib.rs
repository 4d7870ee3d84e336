//! passereau-store

//! passereau-tests

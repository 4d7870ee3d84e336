//! passereau-testing

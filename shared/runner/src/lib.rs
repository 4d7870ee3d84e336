//! passereau-runner

//! passereau-sandbox

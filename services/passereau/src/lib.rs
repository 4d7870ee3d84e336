//! passereau

//! passereau-geonature

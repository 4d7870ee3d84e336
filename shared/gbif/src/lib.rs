//! passereau-gbif

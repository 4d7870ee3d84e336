//! passereau-harvest

//! passereau-dwca

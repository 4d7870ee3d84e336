//! passereau-inat-enricher

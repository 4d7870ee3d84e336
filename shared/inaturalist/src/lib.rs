//! passereau-inaturalist

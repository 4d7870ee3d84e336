//! passereau-contracts

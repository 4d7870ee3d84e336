//! passereau-requester

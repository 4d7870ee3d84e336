//! passereau-downloader

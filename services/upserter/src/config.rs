//! Settings of the upserter.

/// Everything the upserter is configured by.
#[derive(clap::Args, Clone, Debug)]
pub struct UpserterConfig {
    /// Records that one step of a plan compares, in one transaction. More is a little faster and holds the transaction
    /// open for longer: 200,000 new records take some seconds.
    #[arg(long, env = "PASSEREAU_PLAN_CHUNK_RECORDS", default_value = "200000", value_parser = clap::value_parser!(i32).range(1..))]
    pub plan_chunk_records: i32,
    /// Seconds between two looks for subscriptions whose waiting records may enter now: TAXREF is new, a taxonomist has
    /// answered, GeoNature knows a dataset, a setting was edited. 0 never looks.
    #[arg(long, env = "PASSEREAU_RECONVERT_SECONDS", default_value_t = 60)]
    pub reconvert_seconds: u64,
    /// Longest time that a transaction on the synthèse may take, in seconds: a slice or a step of the plan that takes longer
    /// is taken back and done in halves. The default leaves five seconds of a minute for the commit.
    #[arg(long, env = "PASSEREAU_TRANSACTION_S", default_value = "55", value_parser = clap::value_parser!(u32).range(1..=60))]
    pub transaction_s: u32,
}

//! The job types: how often each has a product, and which others it is made of. Nothing here knows of waves.

/// A type of job.
pub struct JobType {
    pub name: &'static str,
    /// Seconds of sensing between two products.
    pub every: i64,
    /// The types whose products it is made of.
    pub needs: &'static [&'static str],
}

/// All of them. Order says nothing.
pub const TYPES: [JobType; 5] = [
    JobType { name: "fsc_rlie_job", every: 600, needs: &[] },
    JobType { name: "rlies1_job", every: 900, needs: &[] },
    JobType { name: "rlies1s2_job", every: 900, needs: &["fsc_rlie_job", "rlies1_job"] },
    JobType { name: "sws_wds_job", every: 900, needs: &["fsc_rlie_job"] },
    JobType { name: "gfsc_job", every: 900, needs: &["sws_wds_job", "rlies1s2_job"] },
];

/// A product is made of its needs' products that are at least this much older, in seconds: in steady
/// operation those have been published by then.
pub const MARGIN: i64 = 2 * 3600;

/// How old, in seconds, a product may get while it waits for needed ones that are under way; after that it
/// is made of what there is.
pub const PATIENCE: i64 = 24 * 3600;

/// A type's product is up to date while it is younger than this, in seconds.
pub const UP_TO_DATE: i64 = 3600;

/// The type of a name.
pub fn of(name: &str) -> Option<&'static JobType> {
    TYPES.iter().find(|t| t.name == name)
}

//! Where the errors and warnings point.

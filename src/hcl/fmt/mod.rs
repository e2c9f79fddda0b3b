//! HashiCorp's canonical layout: indentation, spaces between tokens, aligned `=` and comments.
//!
//! Guarantees: the result is that of `nomad fmt` (and `terraform fmt`'s first stage), byte for byte;
//! nothing but blanks between tokens changes, so that every comment, string, heredoc and line end stays;
//! what is formatted once isn't changed again. As there, a byte order mark goes, blanks behind the last
//! line end stay, and lines are neither joined nor split. Does not: format what isn't right HCL.
//!
//! One thing is better here: `nomad fmt` deletes comments that stand between the words of a block's
//! header or within a reference (`job /* old */ "a" {`, `var /* old */ .a`); here they stay.

mod lines;
mod spacing;
mod token;

#[cfg(test)]
mod tests;

pub use lines::format;

//! What can go wrong between us and a Nomad server.

use crate::base::text;
use crate::http::{Distrust, HttpError};

/// Why a request had no usable answer. Texts of servers are cut and made harmless to terminals
/// before they get in here.
#[derive(Debug, thiserror::Error)]
pub enum NomadError {
    /// No answer, and nothing was changed: the request was a read, or never left.
    #[error("Nomad cannot be reached")]
    Unreachable(#[source] HttpError),
    /// 403: the token lacks a capability, isn't known, or job registration is switched off.
    #[error("Nomad refused {what}: {text}")]
    Unauthorized { what: String, text: String },
    /// Whatever listens there isn't Nomad: no Nomad would say so. Nothing was done.
    #[error("{address} doesn't answer as Nomad does: {status} to {path}")]
    NotNomad { address: String, status: u16, path: String },
    #[error("Nomad does not know {what}")]
    NotFound { what: String },
    /// Check-and-set failed: somebody else changed the job since it was read.
    /// `actual` is the job's index now; none where the server doesn't say (or there is no such job).
    #[error("job '{job}' was changed by somebody else: {text}")]
    Conflict { job: String, enforced: u64, actual: Option<u64>, text: String },
    /// 429: too many connections from this machine. Nothing was done; `retry_after` where the server says.
    #[error("Nomad is busy and refused {what} (too many connections from this address)")]
    Busy { what: String, retry_after: Option<std::time::Duration> },
    #[error("Nomad answered {what} with {status}: {text}")]
    Server { what: String, status: u16, text: String },
    #[error("Nomad's answer to {what} makes no sense: {reason}")]
    Malformed { what: String, reason: String },
    /// The connection ended before the answer did.
    #[error("Nomad's answer to {what} ended too soon")]
    CutShort { what: String },
    /// A write went out and its answer never came, or the server itself doesn't know: look before
    /// doing it again.
    #[error("whether Nomad carried out {what} is not known: {reason}")]
    OutcomeUnknown { what: String, reason: String },
    #[error("Nomad {found} is older than {minimum}, the oldest version this works with")]
    TooOld { found: String, minimum: &'static str },
}

impl NomadError {
    /// Whether the same request may well succeed in a moment: the cluster is unwell, not the request.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(cause) => {
                !matches!(cause, HttpError::BadUrl(_) | HttpError::TooLarge(_) | HttpError::Tls { .. })
            }
            Self::Busy { .. } | Self::CutShort { .. } => true,
            // Nomad says nearly everything with a plain 500.
            Self::Server { status, text, .. } => {
                *status >= 500 && !LASTING.iter().any(|part| text.contains(part))
            }
            _ => false,
        }
    }

    /// Whether a look, or another try, may still bring a write about.
    pub(super) fn leaves_open(&self) -> bool {
        matches!(self, Self::OutcomeUnknown { .. }) || self.is_transient()
    }

    /// What a person can do about it, where there is something to say.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unreachable(HttpError::Tls { why, .. }) => match why {
                Distrust::Theirs => {
                    "nomad { ca_cert = … } (or NOMAD_CACERT) names the authority that it comes from"
                }
                Distrust::AnotherName => {
                    "nomad { tls_server_name = … } (or NOMAD_TLS_SERVER_NAME) says which name it has, as \
                     server.global.nomad"
                }
                Distrust::Ours => {
                    "Nomad asks for a certificate: nomad { client_cert = …, client_key = … } (or \
                     NOMAD_CLIENT_CERT, NOMAD_CLIENT_KEY)"
                }
                Distrust::NoTls => "it doesn't speak TLS: write http:// in Nomad's address",
            },
            Self::Server { text, .. } if text.contains("HTTP request to an HTTPS server") => {
                "it speaks TLS: write https:// in Nomad's address"
            }
            Self::Unreachable(_) => "is the agent running, and is its address right?",
            Self::NotNomad { .. } => {
                "another server listens there: check Nomad's address (http://HOST:4646, with no path behind it)"
            }
            Self::Unauthorized { text, .. } if text.contains("disabled") => {
                "an operator switched job registration off in the scheduler configuration"
            }
            Self::Unauthorized { .. } => "the token needs read-job and submit-job in the job's namespace",
            Self::Conflict { .. } => "look at what changed, then try again from the job as it is now",
            Self::OutcomeUnknown { .. } => {
                "compare the job's version with what was meant before trying again"
            }
            Self::Busy { .. } => "raise limits.http_max_conns_per_client, or do less at once",
            _ => return None,
        })
    }
}

/// What a server says with a plain 500 when it is the request that is wrong: it will say it again.
const LASTING: [&str; 8] = [
    "Enforcing job modify index",
    "enforcing version",
    "error occurred",
    "errors occurred",
    "alidation",
    "nvalid",
    "not found",
    "failed to parse",
];

/// The most of a server's text that gets into a message.
const LONGEST_TEXT: usize = 600;

/// A server's text, on one line, cut and harmless.
pub(super) fn server_text(raw: &str) -> String {
    let line = one_short_line(&untangled(raw));
    if line.is_empty() { "(no text)".into() } else { line }
}

/// What a server or a node says, on one line, cut and harmless.
pub(super) fn one_short_line(raw: &str) -> String {
    let line = text::one_line(raw);
    match line.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Go's nested lists of errors ("1 error occurred:", a bullet, and again) as one line.
fn untangled(raw: &str) -> String {
    let mut out = String::new();
    for line in raw.lines().map(str::trim) {
        let item = line.strip_prefix("* ");
        let mut line = item.unwrap_or(line);
        for heading in ["error occurred:", "errors occurred:"] {
            if let Some(before) = line.strip_suffix(heading) {
                line = before.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ');
            }
        }
        if line.is_empty() {
            continue;
        }
        if !out.is_empty() {
            let joint = if item.is_none() || out.ends_with(':') { " " } else { "; " };
            out.push_str(joint);
        }
        out.push_str(line);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_errors_read_as_one_line() {
        let raw = "1 error occurred:\n\t* Task group web validation failed: 2 errors occurred:\n\t* a is bad\n\t* b is bad\n\n\n\n";
        assert_eq!(server_text(raw), "Task group web validation failed: a is bad; b is bad");
        assert_eq!(server_text("Permission denied"), "Permission denied");
        assert_eq!(server_text("\u{1b}[31mred\nnext"), "\\u{1b}[31mred next");
        assert_eq!(server_text(""), "(no text)");
        assert!(server_text(&"é".repeat(2000)).chars().count() <= LONGEST_TEXT + 1);
    }
}

//! What it takes to reach a server beyond its address: certificates, or a socket in the file system.
//!
//! Guarantees: where an authority is named, certificates of no other are taken; what can't be read or isn't
//! a certificate is named by its file. Does not: trust a server without looking at its certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::socket::{Sockets, Way, innermost};

/// The scheme of an address that is a path: what stands behind it is one.
const UNIX: &str = "unix://";

const CA: &str = "CA certificate";
const CLIENT: &str = "client certificate";
const KEY: &str = "client certificate's key";

/// Certificates by the names of their files, all PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The authorities that the server's certificate may come from; those that everybody trusts where none is
    /// named.
    pub ca_cert: Option<PathBuf>,
    /// What we show to a server that asks, and its key: both or neither.
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    /// The name that must stand in the server's certificate, where it isn't the address's host.
    pub server_name: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the {what} {} can't be read", path.display())]
    Unreadable { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the {what} {} can't be used: {reason}", path.display())]
    Unfit { what: &'static str, path: PathBuf, reason: String },
    #[error("a client certificate needs its key, and a key its certificate: the {0} is missing")]
    Half(&'static str),
    #[error("'{0}' can't be the name of a server: one is wanted that stands in its certificate, no address")]
    BadName(String),
    #[error("no connection can be prepared: {0}")]
    Other(String),
}

impl Tls {
    /// As the variables of the stock client say: `NOMAD_CACERT` and so on.
    pub fn of_variables(set: impl Fn(&str) -> Option<String>) -> Self {
        let file = |name: &str| set(name).map(PathBuf::from);
        Self {
            ca_cert: file("NOMAD_CACERT"),
            client_cert: file("NOMAD_CLIENT_CERT"),
            client_key: file("NOMAD_CLIENT_KEY"),
            server_name: set("NOMAD_TLS_SERVER_NAME"),
        }
    }

    /// These, and the others where these don't say. A certificate and its key stay together.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let own = self.client_cert.is_some() || self.client_key.is_some();
        let (client_cert, client_key) =
            if own { (self.client_cert, self.client_key) } else { (other.client_cert, other.client_key) };
        Self {
            ca_cert: self.ca_cert.or(other.ca_cert),
            client_cert,
            client_key,
            server_name: self.server_name.or(other.server_name),
        }
    }

    /// With the files below a folder, where their names aren't absolute.
    #[must_use]
    pub fn below(self, root: &Path) -> Self {
        let below = |path: Option<PathBuf>| path.map(|path| root.join(path));
        Self {
            ca_cert: below(self.ca_cert),
            client_cert: below(self.client_cert),
            client_key: below(self.client_key),
            server_name: self.server_name,
        }
    }

    /// Whether an address and these certificates want a transport of their own.
    pub fn wants_own(&self, address: &str) -> bool {
        *self != Self::default() || socket_path(address).is_some()
    }

    /// A transport for one server at `address`.
    pub fn sockets(&self, address: &str) -> Result<Sockets, TlsError> {
        let mut builder = Sockets::builder();
        if let Some(path) = socket_path(address) {
            let way = Way::Path(path.to_owned());
            return Sockets::built(builder.unix_socket(path), way)
                .map_err(|e| TlsError::Other(innermost(&e)));
        }
        if let Some(path) = &self.ca_cert {
            let all =
                reqwest::Certificate::from_pem_bundle(&read(CA, path)?).map_err(|e| unfit(CA, path, &e))?;
            if all.is_empty() {
                let reason = "there is no certificate in it".to_owned();
                return Err(TlsError::Unfit { what: CA, path: path.clone(), reason });
            }
            builder = builder.tls_built_in_root_certs(false);
            for certificate in all {
                builder = builder.add_root_certificate(certificate);
            }
        }
        match (&self.client_cert, &self.client_key) {
            (Some(cert), Some(key)) => {
                let mut pem = read(CLIENT, cert)?;
                pem.push(b'\n');
                pem.extend(read(KEY, key)?);
                let identity = reqwest::Identity::from_pem(&pem).map_err(|e| unfit(CLIENT, cert, &e))?;
                builder = builder.identity(identity);
            }
            (None, None) => {}
            (None, Some(_)) => return Err(TlsError::Half(CLIENT)),
            (Some(_), None) => return Err(TlsError::Half(KEY)),
        }
        let mut way = Way::Plain;
        if let Some(name) = self.server_name.as_ref().filter(|_| address.starts_with("https://")) {
            // An address would be gone to, in the place of the server's.
            let is_name = format!("https://{name}/").parse::<http::Uri>().is_ok()
                && name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_err();
            if !is_name {
                return Err(TlsError::BadName(name.clone()));
            }
            builder = builder.dns_resolver(Arc::new(AsNamed { host: host_of(address) }));
            way = Way::Named(name.clone());
        }
        // A key that isn't the certificate's is only found out here.
        Sockets::built(builder, way).map_err(|e| match &self.client_cert {
            Some(path) => unfit(CLIENT, path, &e),
            None => TlsError::Other(innermost(&e)),
        })
    }
}

/// Where a server is that is met under another name than its host's.
struct AsNamed {
    host: String,
}

impl Resolve for AsNamed {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.host.clone();
        Box::pin(async move {
            let found: Addrs = Box::new(tokio::net::lookup_host((host, 0)).await?);
            Ok(found)
        })
    }
}

/// The path of a `unix://` address.
pub(super) fn socket_path(address: &str) -> Option<&Path> {
    address.strip_prefix(UNIX).map(Path::new)
}

/// Without the brackets of an IPv6 address.
fn host_of(address: &str) -> String {
    let uri = address.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable { what, path: path.to_owned(), source })
}

fn unfit(what: &'static str, path: &Path, error: &reqwest::Error) -> TlsError {
    TlsError::Unfit { what, path: path.to_owned(), reason: innermost(error) }
}

//! The transport over real sockets.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use rustls::AlertDescription;

use super::request::{Distrust, HttpError, LARGEST_ANSWER, Request, Response, Transport, origin};

/// HTTP and HTTPS over sockets, with connections kept open between requests.
#[derive(Clone, Debug)]
pub struct Sockets {
    client: reqwest::Client,
    way: Way,
}

/// How the servers of requests are met.
#[derive(Clone, Debug, Default)]
pub(super) enum Way {
    /// As the request's URL says.
    #[default]
    Plain,
    /// Under this name, which stands in the server's certificate, wherever the server is.
    Named(String),
    /// Over this socket in the file system, whatever the URL's host.
    Path(PathBuf),
}

impl Sockets {
    /// To whatever server a request names, trusting the authorities that everybody trusts.
    pub fn new() -> Self {
        let client = Self::builder().build().unwrap_or_default();
        Self { client, way: Way::Plain }
    }

    /// Proxies of the process environment are not used: what a runbook speaks to lies inside.
    pub(super) fn builder() -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("blackstart/", env!("CARGO_PKG_VERSION")))
    }

    pub(super) fn built(builder: reqwest::ClientBuilder, way: Way) -> Result<Self, reqwest::Error> {
        Ok(Self { client: builder.build()?, way })
    }

    /// Where a request goes.
    fn to(&self, url: &str) -> Result<reqwest::Url, HttpError> {
        let bad = || HttpError::BadUrl(self.called(url));
        let mut to = reqwest::Url::parse(url).map_err(|_| bad())?;
        if let Way::Named(name) = &self.way {
            to.set_host(Some(name)).map_err(|_| bad())?;
        }
        Ok(to)
    }

    /// What the server of a URL is called in messages.
    fn called(&self, url: &str) -> String {
        match &self.way {
            Way::Plain | Way::Named(_) => origin(url),
            Way::Path(path) => format!("unix://{}", path.display()),
        }
    }
}

impl Default for Sockets {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Transport for Sockets {
    async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let url = self.to(&request.url)?;
        let after = request.timeout;
        let failed = |error: reqwest::Error| failure(&error, &self.called(&request.url), after);
        let mut answer = self
            .client
            .request(request.method, url)
            .headers(request.headers)
            .body(request.body)
            .timeout(request.timeout)
            .send()
            .await
            .map_err(failed)?;
        let mut body = BytesMut::new();
        // It has answered: whatever goes wrong now, it had the request.
        let broken = |error: reqwest::Error| match failure(&error, &self.called(&request.url), after) {
            late @ HttpError::TimedOut { .. } => late,
            _ => HttpError::Broken { url: self.called(&request.url), reason: innermost(&error) },
        };
        while let Some(chunk) = answer.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(HttpError::TooLarge(origin(&request.url)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status: answer.status(), headers: answer.headers().clone(), body: body.freeze() })
    }
}

fn failure(error: &reqwest::Error, at: &str, after: Duration) -> HttpError {
    if error.is_builder() {
        return HttpError::BadUrl(at.to_owned());
    }
    if error.is_timeout() && !error.is_connect() {
        return HttpError::TimedOut { url: at.to_owned(), after };
    }
    let reason = innermost(error);
    // A certificate of ours is refused once the connection stands; whatever else comes then is a broken one.
    if let Some(why) = distrust(error).filter(|why| error.is_connect() || *why == Distrust::Ours) {
        return HttpError::Tls { url: at.to_owned(), reason, why };
    }
    if error.is_connect() {
        let refused = |cause: &(dyn Error + 'static)| {
            let error = cause.downcast_ref::<std::io::Error>();
            error.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
        };
        if causes(error).any(refused) {
            return HttpError::Refused(at.to_owned());
        }
        return HttpError::NotConnected { url: at.to_owned(), reason };
    }
    HttpError::Broken { url: at.to_owned(), reason }
}

/// What stands between us and a server over TLS, where an error is about that.
fn distrust(error: &reqwest::Error) -> Option<Distrust> {
    Some(match causes(error).find_map(tls)? {
        rustls::Error::InvalidCertificate(
            rustls::CertificateError::NotValidForName
            | rustls::CertificateError::NotValidForNameContext { .. },
        ) => Distrust::AnotherName,
        rustls::Error::InvalidCertificate(_) => Distrust::Theirs,
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        ) => Distrust::Ours,
        // What is no TLS at all.
        rustls::Error::InvalidMessage(_) => Distrust::NoTls,
        _ => return None,
    })
}

/// The error of TLS that another one is made of: those of input and output hide it from their causes.
fn tls<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    match cause.downcast_ref::<std::io::Error>() {
        Some(error) => tls(error.get_ref()?),
        None => cause.downcast_ref(),
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |cause| (*cause).source())
}

/// The innermost cause says what happened; the outer ones repeat the URL.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

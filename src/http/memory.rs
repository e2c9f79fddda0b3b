//! The transport that calls routers of this process: no socket, no thread, and so fit for paused time.
//! A request's patience is tokio's time, as is everything that the routers wait for.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use tower::ServiceExt;

use super::request::{HttpError, LARGEST_ANSWER, Request, Response, Transport, origin};

/// Routers by the origin (`http://host:port`) they answer for; every other origin refuses connections.
#[derive(Clone, Default)]
pub struct Memory(Arc<RwLock<BTreeMap<String, Router>>>);

impl Memory {
    /// Answers for `origin` from now on.
    pub fn serve(&self, origin: impl Into<String>, router: Router) {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner).insert(origin.into(), router);
    }

    /// Refuses connections to `origin` from now on.
    pub fn close(&self, origin: &str) {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner).remove(origin);
    }
}

#[async_trait]
impl Transport for Memory {
    async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let at = origin(&request.url);
        let router = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(&at).cloned();
        let router = router.ok_or_else(|| HttpError::Refused(at.clone()))?;
        let broken = |reason: String| HttpError::Broken { url: at.clone(), reason };
        let mut call = http::Request::builder()
            .method(request.method)
            .uri(&request.url)
            .body(Body::from(request.body))
            .map_err(|_| HttpError::BadUrl(at.clone()))?;
        *call.headers_mut() = request.headers;
        let answered = async {
            let answer = router.oneshot(call).await.map_err(|never| match never {})?;
            let (parts, body) = answer.into_parts();
            let body = axum::body::to_bytes(body, LARGEST_ANSWER).await.map_err(|e| broken(e.to_string()))?;
            Ok(Response { status: parts.status, headers: parts.headers, body })
        };
        let late = HttpError::TimedOut { url: at.clone(), after: request.timeout };
        tokio::time::timeout(request.timeout, answered).await.unwrap_or(Err(late))
    }
}

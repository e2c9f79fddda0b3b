//! What a real environment offers beside Nomad and its database: how far publication and indexing are.
//!
//! `GET /publication/lag[?types=a,b]` and `GET /index/lag[?types=a,b]` answer
//! `{"types": [{"type", "newest", "lag"}…], "newest", "lag"}`: per type the product time (seconds since 1970)
//! up to which everything is published (indexed) and its age in seconds; at the top those of the type that is
//! furthest behind. Without `types`: those enabled in `job_types_list`. No type: `newest` and `lag` are null.
//! 503 while the database is down, 404 for a type that isn't known.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, StatusCode, Uri};
use serde_json::{Value, json};

use super::nomad::routes::{parse_query, plain};
use super::production::Stage;
use super::world::World;

pub(super) fn router(world: World) -> Router {
    Router::new().fallback(handle).with_state(world)
}

async fn handle(State(world): State<World>, uri: Uri) -> Response {
    let path = uri.path().to_owned();
    let answering = world.clone();
    world.answered(&path, async move { serve(&answering, &uri) }).await
}

fn serve(world: &World, uri: &Uri) -> Response {
    let path = uri.path();
    let stage = match path {
        "/publication/lag" => Stage::Published,
        "/index/lag" => Stage::Indexed,
        "/health" => return answer(&json!({"ok": true})),
        _ => return plain(StatusCode::NOT_FOUND, "not found"),
    };
    let query = parse_query(uri.query().unwrap_or_default());
    let types: Vec<String> =
        query.get("types").split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect();
    let found = world.production(|production, now| (production.horizons(stage, &types), now));
    match found {
        (Ok(Some(horizons)), now) => {
            if let Some(unknown) = types.iter().find(|t| !horizons.iter().any(|(name, _)| name == *t)) {
                return plain(StatusCode::NOT_FOUND, &format!("no job type {unknown}"));
            }
            let now = now.as_second();
            let each: Vec<Value> = horizons
                .iter()
                .map(|(name, newest)| json!({"type": name, "newest": newest, "lag": now - newest}))
                .collect();
            let oldest = horizons.iter().map(|(_, newest)| *newest).min();
            answer(&json!({"types": each, "newest": oldest, "lag": oldest.map(|n| now - n)}))
        }
        (Ok(None), _) => plain(StatusCode::SERVICE_UNAVAILABLE, "the database is down"),
        (Err(error), _) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn answer(value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    response.headers_mut().insert("Content-Type", HeaderValue::from_static("application/json"));
    response
}

//! Token revocation (RFC 7009): refresh tokens with their grant, access tokens alone, and a 200 for
//! what is not known.

use serde_json::json;

use super::super::http_server::Reply;
use super::TokenRequest;
use super::grants::State;

impl State {
    /// Answers one revocation request.
    pub(super) fn revoke(&mut self, request: &TokenRequest) -> Reply {
        let refuse = |status, error: &str| Reply::json(status, json!({"error": error}).to_string());
        if !self.knows_client(request) {
            return refuse(401, "invalid_client");
        }
        let Some(token) = request.form.get("token") else {
            return refuse(400, "invalid_request");
        };
        for grant in &mut self.grants {
            grant.revoked |= grant.refresh_tokens.contains(token);
            if let Some(place) = grant.access_tokens.iter().position(|issued| issued == token) {
                grant.refused = grant.refused.max(place + 1);
            }
        }
        Reply::status(200)
    }
}

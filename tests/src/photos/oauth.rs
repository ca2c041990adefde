//! OAuth: refresh tokens give access tokens, which expire.

use std::collections::HashMap;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Settings;
use super::answers::{Answer, Refusal, json};
use super::ids::Ids;

/// Host of the tokens.
pub const HOST: &str = "oauth2.googleapis.com";
/// The id of the only client.
pub const CLIENT: &str = "81000000000-plakbox.apps.googleusercontent.com";
/// The secret of the client.
pub const SECRET: &str = "GOCSPX-a-secret-of-the-tests";
/// The one that rclone uses when the configuration names none.
const RCLONES_CLIENT: &str =
    "202264815644-rt1o1c9evjaotbpbab10m83i8cnjk077.apps.googleusercontent.com";

/// Reads what the connected applications created.
pub const READ: &str = "https://www.googleapis.com/auth/photoslibrary.readonly.appcreateddata";
/// Uploads and creates albums.
pub const APPEND: &str = "https://www.googleapis.com/auth/photoslibrary.appendonly";
/// Changes albums.
pub const EDIT: &str = "https://www.googleapis.com/auth/photoslibrary.edit.appcreateddata";
/// The scope that rclone before 1.70 requests. Since 2025-03-31 it allows nothing.
pub const OLD: &str = "https://www.googleapis.com/auth/photoslibrary";

pub(super) const NO_CREDENTIALS: &str = "Request had invalid authentication credentials. \
    Expected OAuth 2 access token, login cookie or other valid authentication credential. See \
    https://developers.google.com/identity/sign-in/web/devconsole-project.";

/// The tokens that were given out.
pub struct Grants {
    ids: Ids,
    refresh: String,
    revoked: bool,
    access: HashMap<String, Instant>,
}

impl Grants {
    /// Creates the tokens of an account.
    pub fn new(seed: u64) -> Self {
        let mut ids = Ids::new(seed ^ 0x0a17);
        let refresh = ids.next("1//0", 103);
        Self { ids, refresh, revoked: false, access: HashMap::new() }
    }

    /// The refresh token that is valid now.
    pub fn refresh(&self) -> &str {
        &self.refresh
    }

    /// The owner takes the application's access away.
    pub fn revoke(&mut self) {
        self.revoked = true;
        self.access.clear();
    }

    /// The owner gives access once more, as by `rclone config reconnect`.
    pub fn reconnect(&mut self) {
        self.refresh = self.ids.next("1//0", 103);
        self.revoked = false;
        self.access.clear();
    }

    /// No access token is valid any more, whatever was said of its life.
    pub fn forget(&mut self) {
        self.access.clear();
    }

    /// Whether a call comes with an access token that is valid.
    pub fn check(&self, authorization: Option<&str>) -> Result<(), Refusal> {
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        let expiry = token.and_then(|token| self.access.get(token));
        match expiry {
            Some(expiry) if *expiry > Instant::now() => Ok(()),
            _ => Err(Refusal::new(401, NO_CREDENTIALS)),
        }
    }

    /// Answers `POST /token`. `authorization` is what HTTP knows of the client, where
    /// the form doesn't say.
    pub fn token(
        &mut self,
        form: &[u8],
        authorization: Option<&str>,
        settings: &Settings,
    ) -> Answer {
        let form = fields(form);
        let field = |name: &str| form.get(name).map(String::as_str);
        let given = (field("client_id"), field("client_secret"));
        let basic = authorization.and_then(basic);
        let client = match (&basic, given) {
            (Some((id, secret)), _) => known(id, secret, settings),
            (None, (Some(id), Some(secret))) => known(id, secret, settings),
            _ => false,
        };
        if !client {
            return refused(401, "invalid_client", "The OAuth client was not found.");
        }
        if field("grant_type") != Some("refresh_token") {
            return refused(400, "unsupported_grant_type", "Invalid grant_type");
        }
        if self.revoked || field("refresh_token") != Some(&self.refresh) {
            return refused(400, "invalid_grant", "Token has been expired or revoked.");
        }
        let access = self.ids.next("ya29.a0", 218);
        self.access.retain(|_, expiry| *expiry > Instant::now());
        self.access.insert(access.clone(), Instant::now() + settings.token_life);
        let mut answer = json!({
            "access_token": access,
            "expires_in": settings.token_life.as_secs(),
            "scope": settings.scopes.join(" "),
            "token_type": "Bearer",
        });
        if settings.rotates {
            self.refresh = self.ids.next("1//0", 103);
            answer["refresh_token"] = self.refresh.clone().into();
        }
        json(200, &answer)
    }
}

fn refused(status: u16, error: &str, description: &str) -> Answer {
    json(status, &json!({ "error": error, "error_description": description }))
}

/// The fields of a form or a query.
pub(super) fn fields(form: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(form).into_owned().collect()
}

/// Whether a client may ask: the account's own one, or rclone's.
fn known(id: &str, secret: &str, settings: &Settings) -> bool {
    (id == CLIENT && secret == SECRET) || (id == RCLONES_CLIENT && settings.shared_client)
}

/// The client's id and secret in HTTP's own form.
fn basic(authorization: &str) -> Option<(String, String)> {
    let bytes = STANDARD.decode(authorization.strip_prefix("Basic ")?).ok()?;
    let (id, secret) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

//! Every request to the controller, from its head to its answer.
//!
//! The order is a decision: what a browser asks before it lets a page ask comes first, since it carries no secret; then pages
//! that may not ask at all; then paths that do not exist, as in mihomo, which tells them from others without the secret (and for
//! those that stand alone, the method too); then the secret; then the method; then the name in the path.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header, request};
use http_body::Body;
use hyper::upgrade::OnUpgrade;
use serde_json::json;
use subtle::ConstantTimeEq as _;
use tradewind_decide::network::MOST_BYTES;
use tradewind_door::{Response, text_response};

use super::answer::{LARGEST_BODY, Wrong, done, json, message, read};
use super::controller::{Controller, ControllerSettings, Inner};
use super::delay::Test;
use super::frames::{Closing, Frames};
use super::path::{BadEncoding, Family, Route};
use super::providers::List;
use super::query::parameter;
use super::socket::{self, Pending};
use super::{configs, connections, cors, delay, dns, network, origin, providers, proxies, rules, storage, ui};

/// What dashboards tell a core of this API by.
const VERSION: &str = concat!("tradewind ", env!("CARGO_PKG_VERSION"));

/// Answers one request. A websocket that was agreed to is left in `sockets`, to be served when the connection is free.
pub(crate) async fn answer<B>(
    controller: &Controller,
    mut request: Request<B>,
    closing: &Closing,
    sockets: &mut Option<Pending>,
) -> Response
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let upgrade = socket::is_wanted(request.headers()).then(|| hyper::upgrade::on(&mut request));
    let (head, body) = request.into_parts();
    let inner = controller.inner();
    let settings = inner.settings.get();
    if let Some(response) = cors::preflight(&settings.cors, &head) {
        return response;
    }
    let mut response = if origin::may_ask(&settings.cors, settings.secret.is_some(), &head.headers) {
        let asked = Asked { controller, settings: &settings, head: &head, upgrade, closing, sockets };
        asked.answer(body).await.unwrap_or_else(Wrong::into_response)
    } else {
        message(403, "pages of this origin may not use the controller (external-controller-cors)")
    };
    cors::mark(&settings.cors, &head.headers, &mut response);
    response
}

struct Asked<'a> {
    controller: &'a Controller,
    settings: &'a ControllerSettings,
    head: &'a request::Parts,
    upgrade: Option<OnUpgrade>,
    closing: &'a Closing,
    sockets: &'a mut Option<Pending>,
}

impl Asked<'_> {
    async fn answer<B>(self, body: B) -> Result<Response, Wrong>
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let route = match Route::parse(self.head.uri.path()) {
            Ok(route) => route.ok_or(Wrong::Path)?,
            Err(BadEncoding) => return Ok(text_response(400, "400 Bad Request")),
        };
        let methods = route.methods();
        let is_taken = methods.split(", ").any(|method| method == self.head.method.as_str());
        if !is_taken && route.is_alone() {
            return Err(Wrong::Method(methods));
        }
        if !route.is_public() {
            self.unlock()?;
        }
        if !is_taken {
            return Err(Wrong::Method(methods));
        }
        let inner = self.controller.inner();
        let query = self.head.uri.query();
        let ways = &inner.needs.ways;
        let closing = self.closing.clone();
        match (route, &self.head.method) {
            (Route::Traffic, _) => self.stream(Frames::traffic(ways, closing)),
            (Route::Memory, _) => self.stream(Frames::memory(ways, closing)),
            (Route::Logs, _) => self.stream(Frames::logs(ways, closing, query)?),
            (Route::Connections, &Method::GET) if self.upgrade.is_some() => {
                self.stream(Frames::connections(ways, closing, query).ok_or(Wrong::Body)?)
            }
            (Route::Context, &Method::PUT) => {
                let read = read(body, MOST_BYTES).await.ok();
                Ok(network::put(ways, read.as_deref()))
            }
            (route, method) if method == Method::GET => show(inner, self.settings, route, query).await,
            (route, method) => {
                let method = method.clone();
                let body = read(body, LARGEST_BODY).await.map_err(|wrong| storage::refusal(&route, wrong))?;
                act(self.controller, route, &method, body).await
            }
        }
    }

    /// Checks the secret, in a time that does not depend on how much of it is right. In the address it counts for websockets
    /// only: a browser cannot send a header there, and addresses of other requests end in logs.
    fn unlock(&self) -> Result<(), Wrong> {
        let Some(secret) = &self.settings.secret else { return Ok(()) };
        let is_right = |said: &str| bool::from(said.as_bytes().ct_eq(secret.expose().as_bytes()));
        let token = self.upgrade.as_ref().and_then(|_| parameter(self.head.uri.query(), "token"));
        let unlocked = match token.filter(|token| !token.is_empty()) {
            Some(token) => is_right(&token),
            None => bearer(self.head).is_some_and(is_right),
        };
        if unlocked { Ok(()) } else { Err(Wrong::Unauthorized) }
    }

    /// A stream: over a websocket where one is wanted.
    fn stream(self, frames: Frames) -> Result<Response, Wrong> {
        let Some(upgrade) = self.upgrade else {
            let mut response = Response::new(frames.into_body());
            *response.status_mut() = StatusCode::OK;
            let json = http::HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            return Ok(response);
        };
        let response = socket::agree(&self.head.headers)?;
        *self.sockets = Some(Pending { upgrade, frames });
        Ok(response)
    }
}

fn bearer(head: &request::Parts) -> Option<&str> {
    let header = head.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = header.split_once(' ')?;
    (scheme == "Bearer").then_some(secret)
}

/// What is only looked at, but for tests, which a dashboard asks for with GET.
async fn show(
    inner: &Inner,
    settings: &ControllerSettings,
    route: Route,
    query: Option<&str>,
) -> Result<Response, Wrong> {
    let ways = &inner.needs.ways;
    let set = ways.set();
    match route {
        Route::Hello => Ok(json(200, &json!({"hello": "mihomo"}))),
        Route::Version => Ok(json(200, &json!({"meta": true, "version": VERSION}))),
        Route::UiStart => settings.ui.as_ref().map(|_| ui::start()).ok_or(Wrong::Path),
        Route::Ui(parts) => ui::file(settings.ui.clone().ok_or(Wrong::Path)?, parts).await,
        Route::Configs => Ok(configs::show(inner)),
        Route::Proxies => Ok(proxies::list(&set)),
        Route::Proxy(name) => Ok(json(200, &super::view::ProxyView::of(&set, &proxies::find(&set, &name)?))),
        Route::ProxyDelay(name) => {
            let member = proxies::find(&set, &name)?;
            delay::one(ways, &member, Test::parse(query)?).await
        }
        Route::Groups => Ok(proxies::groups(&set)),
        Route::Group(name) => {
            let group = tradewind_ways::Member::Group(proxies::find_group(&set, &name)?);
            Ok(json(200, &super::view::ProxyView::of(&set, &group)))
        }
        Route::GroupDelay(name) => {
            let group = proxies::find_group(&set, &name)?;
            delay::all(ways, &group, Test::parse(query)?).await
        }
        Route::Providers => Ok(providers::list(&set)),
        Route::Provider(name) => Ok(List::find(&set, &name)?.shown(&set)),
        Route::ProviderCheck(name) => Ok(List::find(&set, &name)?.check(ways).await),
        Route::ProviderProxy(list, name) => {
            let member = List::find(&set, &list)?.member(&name)?;
            Ok(json(200, &super::view::ProxyView::of(&set, &member)))
        }
        Route::ProviderProxyCheck(list, name) => List::find(&set, &list)?.check_one(ways, &name, query).await,
        Route::RuleProviders => Ok(rules::lists(&ways.rules())),
        Route::Rules => Ok(rules::list(&ways.rules())),
        Route::Connections => Ok(connections::list(ways)),
        Route::DnsQuery => dns::query(ways, query).await,
        Route::Storage(key) => Ok(storage::get(ways, &key)),
        Route::Context => Ok(network::get(ways)),
        Route::Explain => Ok(network::explain(ways)),
        Route::NoPart(Family::Proxy, name) => proxies::find(&set, &name).and(Err(Wrong::Path)),
        Route::NoPart(Family::Group, name) => proxies::find_group(&set, &name).and(Err(Wrong::Path)),
        Route::NoPart(Family::Provider, name) => List::find(&set, &name).and(Err(Wrong::Path)),
        _ => Err(Wrong::Path),
    }
}

/// What changes something.
async fn act(controller: &Controller, route: Route, method: &Method, body: Bytes) -> Result<Response, Wrong> {
    let inner = controller.inner();
    let ways = &inner.needs.ways;
    let set = ways.set();
    match (route, method.as_str()) {
        (Route::Configs, _) => {
            // Files are read and ports opened: not on a thread that serves others.
            let (controller, is_put) = (controller.clone(), method == Method::PUT);
            let changing = tokio::task::spawn_blocking(move || match is_put {
                true => configs::put(controller.inner(), &body),
                false => configs::patch(controller.inner(), &body),
            });
            changing.await.unwrap_or_else(|error| Err(Wrong::said(500, error.to_string())))
        }
        (Route::Proxy(name), "PUT") => {
            proxies::find(&set, &name)?;
            proxies::select(ways, &name, &body)
        }
        (Route::Proxy(name), _) => proxies::unfix(ways, &name),
        (Route::Provider(name), _) => List::find(&set, &name)?.update(ways).await,
        (Route::RuleProvider(name), _) => rules::update(ways, &name).await,
        (Route::RulesDisable, _) => rules::switch(&ways.rules(), &body),
        (Route::Connections, _) => Ok(connections::close_all(ways)),
        (Route::Connection(id), _) => Ok(connections::close(ways, &id)),
        // There are no fake addresses to forget.
        (Route::FlushFakeIp, _) => Ok(done()),
        (Route::FlushDns, _) => {
            ways.egress().resolver().flush();
            Ok(done())
        }
        (Route::Storage(key), "PUT") => storage::put(ways, &key, &body),
        (Route::Storage(key), _) => Ok(storage::delete(ways, &key)),
        (Route::Context, _) => Ok(network::delete(ways)),
        (Route::Restart, _) => Err(Wrong::said(500, "tradewind does not restart itself: PUT /configs reloads")),
        (Route::Upgrade | Route::UpgradeUi, _) => Err(Wrong::said(500, "tradewind does not update itself")),
        (Route::UpgradeGeo | Route::Geo, _) => Err(Wrong::said(
            500,
            "data about addresses and sites is not fetched: put the files beside the configuration",
        )),
        _ => Err(Wrong::Path),
    }
}

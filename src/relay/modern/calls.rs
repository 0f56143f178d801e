//! Requests and their headers, and what is asked again where the headers were wrong (2026-07-28,
//! Streamable HTTP, "Custom Headers from Tool Parameters").

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::{Asked, Replies, headers, tools};
use crate::jsonrpc::edit::Repeated;
use crate::jsonrpc::{Head, Message, code, edit};
use crate::relay::exchange::{Attendance, Carrier, Outgoing, Within};
use crate::relay::pending::Ticket;
use crate::relay::{Failure, Inner};
use crate::upstream::streamable_http::{Answer, Reply};
use crate::wire::{META_CAPABILITIES, META_CLIENT, META_VERSION};

/// How long asking for the tools again may take: a call waits for it.
const REFRESH_LIMIT: Duration = Duration::from_secs(10);
/// How many pages of tools are asked for.
const PAGES_MOST: usize = 100;
/// What a request of our own says about the host, taken from a request of the host's.
const ENVELOPE: [&str; 3] = [META_VERSION, META_CLIENT, META_CAPABILITIES];

impl Inner {
    /// Sends a request with the headers that it takes. Where the server finds that headers for a
    /// tool's parameters are wrong, it has not acted on the call: the tools are asked for again, and
    /// the call is sent once more with what they say now.
    pub(in crate::relay) async fn ask(
        &self,
        message: &Message,
        request: &Ticket,
    ) -> Result<Replies, Failure> {
        Replies::of(self.ask_with_headers(message, request).await?, request.id())
    }

    /// The same, up to what comes back.
    pub(in crate::relay) async fn ask_with_headers(
        &self,
        message: &Message,
        request: &Ticket,
    ) -> Result<Reply, Failure> {
        let tool = called_tool(message);
        if tool.is_some() && self.modern.tools.is_stale() {
            self.refresh_tools(message).await;
        }
        let headers = self.request_headers(message)?;
        let mut answer = self.send(routed(message.bytes(), &headers, request)).await?;
        if tool.is_some() && is_header_mismatch(&answer.reply) {
            self.refresh_tools(message).await;
            let fresh = self.request_headers(message)?;
            if fresh != headers {
                answer = self.send(routed(message.bytes(), &fresh, request)).await?;
            }
        }
        Ok(answer.reply)
    }

    /// Sends a request of ours, for which no request of the host's waits, and nobody is asked to log
    /// in.
    pub(in crate::relay) async fn ask_alone(&self, message: &Message) -> Result<Answer, Failure> {
        let alone = Outgoing { attendance: Attendance::Nobody, ..Outgoing::message(message.bytes()) };
        self.send_routed(message, alone).await
    }

    /// Sends a request of ours in place of what `outgoing` would send.
    pub(in crate::relay) async fn send_routed(
        &self,
        message: &Message,
        outgoing: Outgoing<'_>,
    ) -> Result<Answer, Failure> {
        let headers = headers::routing(message.head(), None);
        let (carrier, within) = (Carrier::Post(message.bytes()), Within::Routed(&headers));
        self.send(Outgoing { carrier, within, ..outgoing }).await
    }

    fn request_headers(&self, message: &Message) -> Result<HeaderMap, Repeated> {
        let mut headers = headers::routing(message.head(), self.host_version().as_deref());
        if let Some(annotations) = called_tool(message).and_then(|tool| self.modern.tools.annotations(tool)) {
            headers::add_parameters(&mut headers, message, &annotations)?;
        }
        Ok(headers)
    }

    /// Asks for the tools again, for the sake of `call`; of many that want it at once, one does.
    async fn refresh_tools(&self, call: &Message) {
        let Ok(_refreshing) = self.modern.refreshing.try_lock() else {
            return drop(self.modern.refreshing.lock().await);
        };
        let asked = self.modern.tools.ask();
        match tokio::time::timeout(REFRESH_LIMIT, self.list_tools(call, asked)).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => tracing::debug!(%failure, "the tools were not asked for again"),
            Err(_) => tracing::debug!("asking for the tools again took too long"),
        }
        self.modern.tools.tried(asked);
    }

    async fn list_tools(&self, call: &Message, asked: Asked) -> Result<(), Failure> {
        let mut cursor = None;
        for _ in 0..PAGES_MOST {
            let list = list_request(call, cursor.as_deref())?;
            let Some(id) = list.head().request_id() else { return Ok(()) };
            let mut replies = Replies::of(self.ask_alone(&list).await?.reply, id)?;
            let page = loop {
                match replies.next().await? {
                    None => return Ok(()),
                    Some(reply) => match reply.head() {
                        Head::Response { successful: true, .. } => break reply,
                        Head::Response { .. } => return Ok(()),
                        _ => {}
                    },
                }
            };
            cursor = tools::next_cursor(&page).map(str::to_owned);
            self.modern.tools.learn(page, asked, self.shown());
            if cursor.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn routed<'a>(frame: &'a Bytes, headers: &'a HeaderMap, request: &'a Ticket) -> Outgoing<'a> {
    Outgoing { within: Within::Routed(headers), ..Outgoing::request(frame, request) }
}

fn called_tool(message: &Message) -> Option<&str> {
    match message.head() {
        Head::Request { method, parameters, .. } if method == "tools/call" => parameters.name.as_deref(),
        _ => None,
    }
}

/// Whether the server refused the request because its headers do not fit its body.
fn is_header_mismatch(reply: &Reply) -> bool {
    match reply {
        Reply::Rejected(rejection) | Reply::SessionGone(rejection) => {
            rejection.body.as_ref().and_then(|body| code::of(body)) == Some(code::HEADER_MISMATCH)
        }
        _ => false,
    }
}

/// A request for the list of tools, in the name of the host that sent `call`. Its id is drawn at
/// random, so that it is none of the host's.
fn list_request(call: &Message, cursor: Option<&str>) -> Result<Message, Failure> {
    let meta = edit::member_at(call.text(), &["params", "_meta"]).ok().flatten();
    let envelope = ENVELOPE.iter().filter_map(|name| {
        let value = edit::member(meta?, name).ok()??;
        Some(format!(r#""{name}":{value}"#))
    });
    let envelope = envelope.collect::<Vec<_>>().join(",");
    let cursor = cursor.map(|cursor| format!(r#""cursor":{cursor},"#)).unwrap_or_default();
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| Failure::NoAnswer("no random numbers are to be had"))?;
    let id = crate::hex::hex(&random);
    let list = format!(
        r#"{{"jsonrpc":"2.0","id":"mcp-front-{id}","method":"tools/list","params":{{{cursor}"_meta":{{{envelope}}}}}}}"#
    );
    Ok(Message::parse(list.into())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_asked_for_in_the_hosts_name() {
        let call = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":1,"io.modelcontextprotocol/clientInfo":{ "name":"h" },"x/y":1,"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        let call = Message::parse(Bytes::from_static(call.as_bytes())).unwrap();
        let list = list_request(&call, Some(r#""\u0041""#)).unwrap();
        let text = String::from_utf8(list.bytes().to_vec()).unwrap();
        assert!(text.ends_with(
            r#""method":"tools/list","params":{"cursor":"\u0041","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{ "name":"h" }}}}"#
        ), "{text}");
        let other = list_request(&call, None).unwrap();
        assert_ne!(list.head().request_id(), other.head().request_id());
    }
}

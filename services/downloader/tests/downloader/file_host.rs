//! A GBIF that knows one download and its file server, in one: told what to do wrong, and asked what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::routing::get;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use passereau_http::Url;

/// Key of the only download.
pub const KEY: &str = "0015000-260108000000665";

/// What goes wrong with one answer of the file server.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection is cut after so many bytes of the body.
    Cut(usize),
    /// Nothing more comes after so many bytes of the body.
    Stall(usize),
    /// A status instead, with these headers.
    Status(u16, &'static [(&'static str, &'static str)]),
    /// Before it is served, the file becomes another.
    Replace(Vec<u8>, &'static str),
}

/// One call to the file server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub range: Option<String>,
    pub if_range: Option<String>,
    pub authorized: bool,
}

#[derive(Debug)]
pub struct Script {
    pub body: Vec<u8>,
    pub etag: &'static str,
    pub ranges: bool,
    pub announces_length: bool,
    /// Status of GBIF's own answer; 302 leads to the file server.
    pub gbif_status: u16,
    pub faults: VecDeque<Fault>,
    pub asked: Vec<Asked>,
}

#[derive(Clone, Debug)]
pub struct FileHost {
    pub base: String,
    pub script: Arc<Mutex<Script>>,
}

impl FileHost {
    pub async fn start(body: Vec<u8>) -> Self {
        let script = Arc::new(Mutex::new(Script {
            body,
            etag: "\"a\"",
            ranges: true,
            announces_length: true,
            gbif_status: 302,
            faults: VecDeque::new(),
            asked: Vec::new(),
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let host = Self { base, script };
        let router = Router::new()
            .route("/v1/occurrence/download/request/{name}", get(redirect))
            .route("/file.zip", get(serve))
            .with_state(host.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        host
    }

    pub fn url(&self) -> Url {
        Url::parse(&format!("{}/file.zip", self.base)).unwrap()
    }

    pub fn set(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.script.lock().unwrap().asked.clone()
    }

    /// The ranges that were asked for, in order.
    pub fn ranges(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.range.unwrap_or_default()).collect()
    }
}

async fn redirect(State(host): State<FileHost>) -> Response<Body> {
    let status = host.script.lock().unwrap().gbif_status;
    Response::builder()
        .status(status)
        .header(header::LOCATION, host.url().as_str())
        .body(Body::from("GBIF's words\n"))
        .unwrap()
}

async fn serve(State(host): State<FileHost>, headers: HeaderMap) -> Response<Body> {
    let text = |name| headers.get(name).map(|value: &header::HeaderValue| value.to_str().unwrap().to_owned());
    let asked = Asked {
        range: text(header::RANGE),
        if_range: text(header::IF_RANGE),
        authorized: headers.contains_key(header::AUTHORIZATION),
    };
    let mut script = host.script.lock().unwrap();
    script.asked.push(asked.clone());
    let mut fault = script.faults.pop_front();
    if let Some(Fault::Replace(body, etag)) = fault.take_if(|fault| matches!(fault, Fault::Replace(..))) {
        script.body = body;
        script.etag = etag;
    }
    let body = Bytes::from(script.body.clone());
    let mut answer = Response::builder().header(header::ETAG, script.etag);
    let same = asked.if_range.as_deref().is_none_or(|tag| tag == script.etag);
    let range = asked.range.filter(|_| script.ranges && same).map(|range| {
        let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        (first.parse::<usize>().unwrap(), last.parse::<usize>().unwrap().min(body.len() - 1))
    });
    let sent = match range {
        Some((first, _)) if first >= body.len() => {
            return answer.status(StatusCode::RANGE_NOT_SATISFIABLE).body(Body::empty()).unwrap();
        }
        Some((first, last)) => {
            let place = format!("bytes {first}-{last}/{}", body.len());
            answer = answer.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, place);
            body.slice(first..=last)
        }
        None => body,
    };
    if script.announces_length {
        answer = answer.header(header::CONTENT_LENGTH, sent.len());
    }
    let piece = |until: usize| stream::iter([Ok(sent.slice(..until))]);
    let body = match fault {
        Some(Fault::Status(status, headers)) => {
            let mut answer = Response::builder().status(status);
            for (name, value) in headers {
                answer = answer.header(*name, *value);
            }
            return answer.body(Body::from("the file server's words\n")).unwrap();
        }
        Some(Fault::Cut(until)) => {
            Body::from_stream(piece(until).chain(stream::iter([Err(std::io::Error::other("cut"))])))
        }
        Some(Fault::Stall(until)) => Body::from_stream(piece(until).chain(stream::pending())),
        // A stream, so that a length is announced only when the script says so.
        _ => Body::from_stream(stream::iter([Ok::<_, std::io::Error>(sent)])),
    };
    answer.body(body).unwrap()
}
